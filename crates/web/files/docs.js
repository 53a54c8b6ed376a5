// The documents: another language of the samples, another offer, the answer to a request, without
// loading the whole page again. Without script the same links and forms load it.

const shown = () => document.querySelector(".docs article");

// Puts the article of another address in place of this one; gives whether it could.
async function swap(address, options) {
  const response = await fetch(address, options);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const fresh = page.querySelector(".docs article");
  if (!fresh) return false;
  shown().replaceWith(fresh);
  document.title = page.title;
  document.dispatchEvent(new Event("part-swapped"));
  return true;
}

async function visit(address) {
  if (!(await swap(address, {}).catch(() => false))) {
    location.assign(address);
    return;
  }
  history.pushState(null, "", address);
  // The reader stays where the click was.
  const links = [...shown().querySelectorAll(".tabs a, .choices a")];
  links.find((link) => link.href === address)?.focus({ preventScroll: true });
  document.getElementById(location.hash.slice(1))?.scrollIntoView({ block: "nearest" });
}

document.addEventListener("click", (event) => {
  const link = event.target.closest(".docs .tabs a, .docs .choices a");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  visit(link.href);
});

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.closest(".docs") || event.defaultPrevented) return;
  event.preventDefault();
  const fields = new URLSearchParams(new FormData(form));
  if (form.method === "get") {
    visit(`${form.action}?${fields}`);
    return;
  }
  const sent = await swap(form.action, { method: "post", body: fields }).catch(() => false);
  // Logged out meanwhile, or no answer: the page says so itself.
  if (!sent) location.reload();
  document.getElementById("answer")?.scrollIntoView({ block: "nearest" });
});

addEventListener("popstate", () => {
  swap(location.href, {}).catch(() => location.reload());
});
