// Live parts: an element with `data-live` is fetched anew when the stream in its `data-stream`
// tells of a change, or when it is named so by the page that it shows. Without script there is
// *Refresh*. It knows no words and no money.

const parts = [...document.querySelectorAll("[data-live][data-stream]")];
for (const part of parts) watch(part);

function watch(part) {
  const address = part.dataset.stream;
  if (!address) return;
  const source = new EventSource(address);
  source.addEventListener("purchase", () => refresh(part, source));
  // A tab that nobody sees for a minute lets go, and looks again when it is seen.
  let timer;
  const onVisibility = () => {
    clearTimeout(timer);
    if (document.hidden) {
      timer = setTimeout(() => source.close(), 60000);
    } else if (source.readyState === EventSource.CLOSED) {
      document.removeEventListener("visibilitychange", onVisibility);
      refresh(part, source);
    }
  };
  document.addEventListener("visibilitychange", onVisibility);
}

async function refresh(part, source) {
  const url = new URL(location.href);
  url.searchParams.delete("said");
  url.searchParams.set("part", part.dataset.live);
  const answer = await fetch(url, { headers: { "x-part": part.dataset.live } });
  if (!answer.ok) return source.close();
  // Nothing is taken away from under a reader's hands.
  if (part.contains(document.activeElement)) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  part.replaceChildren(...page.body.childNodes);
}
