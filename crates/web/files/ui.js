// What every page may do by script: copy, say that a form is being sent, focus the errors. Pages
// work without it. It knows no words and no money: texts are in attributes.

for (const summary of document.querySelectorAll("[data-focus]")) summary.focus();

// Again where a part of the page has been replaced.
function offerCopies() {
  for (const button of document.querySelectorAll("[data-copy][hidden]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const from = document.getElementById(button.dataset.copy);
      await navigator.clipboard.writeText(from.value ?? from.textContent);
      const before = button.innerHTML;
      button.textContent = button.dataset.copied;
      setTimeout(() => { button.innerHTML = before; }, 2000);
    });
  }
}
offerCopies();
document.addEventListener("part-swapped", offerCopies);

// A second click sends nothing: the first one is on its way.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method === "get") return;
  if (form.dataset.isSending) {
    event.preventDefault();
    return;
  }
  form.dataset.isSending = "yes";
  const button = event.submitter;
  if (button?.dataset.sending) {
    // After the browser has read the form, or the button's value would be missing.
    setTimeout(() => {
      button.dataset.label = button.textContent;
      button.textContent = button.dataset.sending;
      button.setAttribute("aria-disabled", "true");
    });
  }
});

// The browser shows the page again as it was left.
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of document.querySelectorAll("form")) delete form.dataset.isSending;
  for (const button of document.querySelectorAll("[data-label]")) {
    button.textContent = button.dataset.label;
    button.removeAttribute("aria-disabled");
  }
});

// A menu that is open closes with Esc or a click elsewhere.
const sheet = document.querySelector(".account");
document.addEventListener("click", (event) => {
  if (sheet?.open && !sheet.contains(event.target)) sheet.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && sheet?.open) {
    sheet.open = false;
    sheet.querySelector("summary").focus();
  }
});

// Dialogs by `commandfor`, for browsers that do not know it.
if (!("commandForElement" in HTMLButtonElement.prototype)) {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[commandfor]");
    const dialog = button && document.getElementById(button.getAttribute("commandfor"));
    if (!dialog) return;
    if (button.getAttribute("command") === "show-modal") dialog.showModal();
    else dialog.close();
  });
}
