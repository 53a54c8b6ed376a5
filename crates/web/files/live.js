// Live parts: an element with `data-live` is fetched anew when a purchase that it shows has
// changed. One tab of a browser holds the stream and tells the others, for a browser opens few
// connections to a server; when it is closed, another one does. Without script there is *Refresh*.
// It knows no words and no money.

const HIDDEN_MS = 60000;
const AGAIN_MS = 2000;
const NAMED_MAX = 150;

const parts = [...document.querySelectorAll("[data-live][data-stream]")];
const streams = parts.map((part) => new URL(part.dataset.stream || "?", location));
const named = streams.flatMap((url) => url.searchParams.get("p")?.split(",") ?? []);
if (named.length) follow(streams.find((url) => url.search).pathname);

function follow(address) {
  const tab = crypto.randomUUID();
  // What this tab shows, and what the others do: versions by id.
  const shown = new Map(named.map((pair) => pair.split(".")));
  const others = new Map();
  const channel = new BroadcastChannel(address);
  let source, ids, release, waiting, timer;
  let isAway = false;

  const announce = () => {
    channel.postMessage({ tab, shown: isAway ? [] : [...shown] });
    if (release) open();
  };

  channel.addEventListener("message", ({ data }) => {
    if (data.changed) hear(data.changed);
    else if (data.asks) announce();
    else if (release) {
      others.set(data.tab, data.shown);
      open();
    }
  });

  function hear([id, version, isFinal]) {
    const known = shown.get(id);
    if (!known) return;
    if (isFinal) shown.delete(id);
    else shown.set(id, version);
    if (known !== version) parts.forEach(refresh);
    announce();
  }

  // The stream of all tabs; opened again where they show something else now.
  function open() {
    const all = new Map([...others.values()].flat());
    for (const [id, version] of shown) all.set(id, version);
    const list = [...all.keys()].sort().slice(0, NAMED_MAX);
    if (source && ids === list.join()) return;
    source?.close();
    source = undefined;
    ids = list.join();
    if (!ids) return;
    source = new EventSource(`${address}?p=${list.map((id) => `${id}.${all.get(id)}`)}`);
    source.addEventListener("purchase", ({ data }) => {
      const changed = data.split(".");
      channel.postMessage({ changed });
      hear(changed);
    });
    // It ends by itself; refused, it is not asked for again.
    source.addEventListener("error", () => {
      const isRefused = source.readyState === EventSource.CLOSED;
      source.close();
      source = undefined;
      if (!isRefused) setTimeout(() => release && open(), AGAIN_MS);
    });
  }

  function join() {
    isAway = false;
    waiting = new AbortController();
    const lead = () => new Promise((resolve) => {
      release = resolve;
      channel.postMessage({ asks: true });
      open();
    });
    navigator.locks.request(address, { signal: waiting.signal }, lead).catch(() => {});
    announce();
  }

  function leave() {
    isAway = true;
    announce();
    waiting.abort();
    source?.close();
    source = undefined;
    others.clear();
    release?.();
    release = undefined;
  }

  // A tab that nobody sees for a minute lets go, and looks again when it is seen.
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(leave, HIDDEN_MS);
    else if (isAway) {
      parts.forEach(refresh);
      join();
    }
  });
  addEventListener("pagehide", leave);
  addEventListener("pageshow", (event) => event.persisted && join());
  join();
}

async function refresh(part) {
  const url = new URL(location);
  url.searchParams.delete("said");
  url.searchParams.set("part", part.dataset.live);
  const answer = await fetch(url, { headers: { "x-part": part.dataset.live } });
  // Logged out meanwhile: the page stays as it is.
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  // Nothing is taken away from under a reader's hands.
  while (part.contains(document.activeElement)) {
    await new Promise((resolve) => part.addEventListener("focusout", resolve, { once: true }));
    await new Promise(requestAnimationFrame);
  }
  const open = [...part.querySelectorAll("details")].map((one) => one.open);
  part.replaceChildren(...page.body.childNodes);
  part.querySelectorAll("details").forEach((one, at) => { one.open = open[at] ?? one.open; });
  const told = document.querySelector("[data-told]");
  told.textContent = told.dataset.told;
}
