// The labeller in a notebook: the page's own modules, speaking the notebook's messages to the kernel.
// `SOURCES`, the text of the page's files by name, is put before this one: `widget.py` does that.

const PATIENCE = 5_000; // milliseconds until a kernel that does not answer counts as busy
const LONG = 600_000; // for what there is nothing to show without
const SILENT = "the kernel is busy or was restarted";
const GONE =
  "The kernel does not answer. If it was restarted, run this cell again: what is not saved yet is " +
  "kept in this browser, and sent then.";
const INSECURE =
  "Browsers keep labels safe only for pages from this machine or over https: open the notebook at " +
  "such an address.";

const STYLE = `
  :host { display: block; height: 44rem; min-height: 20rem; resize: vertical; overflow: auto; container-type: size; contain: layout; }
  .groupemo-labeller { border: 1px solid var(--strong); border-radius: 6px; overflow: clip; }
  .groupemo-labeller:focus-within { border-color: var(--accent); box-shadow: inset 0 0 0 1px var(--accent); }
  .groupemo-labeller:focus { outline: none; }
  .groupemo-labeller[data-theme=automatic] { color-scheme: inherit; }
`;

const addresses = new Map();

/** The address of a module of the page: of its text, with the addresses of what it imports. */
function addressOf(name) {
  if (!addresses.has(name)) {
    const whence = (_, imported) => `from "${addressOf(imported)}"`;
    const text = SOURCES[name].replaceAll(/from "\.\/(.+?)"/g, whence);
    addresses.set(name, URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
  }
  return addresses.get(name);
}

/** What `transport.js` is to the page, by a widget's messages; and `reach`, which fails if it cannot. */
function transportOver(model) {
  const asked = new Map();
  let silent = false;
  let tried = 0;

  model.on("msg:custom", ({ id, reply }, buffers) => {
    silent = false;
    asked.get(id)?.({ reply, picture: buffers?.[0] });
  });

  async function ask(request, patience) {
    // A busy kernel will read all that it was sent: do not let it pile up.
    if (silent && performance.now() - tried < PATIENCE) throw new Error(SILENT);
    tried = performance.now();
    const id = crypto.randomUUID();
    try {
      return await new Promise((done, failed) => {
        asked.set(id, done);
        setTimeout(failed, patience);
        model.send({ id, ...request });
      });
    } catch (error) {
      silent = true;
      throw new Error(SILENT, { cause: error });
    } finally {
      asked.delete(id);
    }
  }

  async function bitmap(request) {
    const { reply, picture } = await ask(request, LONG);
    if (reply.error) throw Object.assign(new Error(reply.error), { refused: true });
    return createImageBitmap(new Blob([picture], { type: "image/jpeg" }));
  }

  async function send(message) {
    const { reply } = await ask({ message }, message.do === "open" ? LONG : PATIENCE);
    return reply;
  }

  return {
    send,
    picture: (photo, side) => bitmap({ photo, side }),
    face: (photo, box, side) => bitmap({ photo, box, side }),
    reach: () => ask({}, PATIENCE),
  };
}

/** What a tab remembers of itself, for one view: there may be several in a tab. */
function memory() {
  const kept = new Map();
  return {
    getItem: (name) => kept.get(name) ?? null,
    setItem: (name, value) => kept.set(name, value),
  };
}

/** Keep the notebook's keys from the labeller and the labeller's from the notebook. */
function partKeyboard(host, root, signal) {
  const shadow = host.shadowRoot;
  host.dataset.lmSuppressShortcuts = "true"; // for a JupyterLab that hears keys first
  for (const kind of ["keydown", "keypress", "keyup"]) {
    host.addEventListener(kind, (event) => event.stopPropagation());
  }
  host.addEventListener("pointerdown", () => shadow.activeElement ?? root().focus({ preventScroll: true }));

  // What is deleted or hidden while it has the focus leaves it to nobody: the next key, which is
  // meant for the labeller, would be the notebook's.
  let inside = false;
  const note = (event) => (inside = event.composedPath().includes(host));
  const leave = (event) => note(event) || shadow.activeElement?.blur(); // JupyterLab would leave it
  addEventListener("pointerdown", leave, { capture: true, signal });
  addEventListener("focusin", note, { capture: true, signal });
  const fetchBack = (event) => {
    if (!inside || document.activeElement !== document.body) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    root().focus({ preventScroll: true });
    root().dispatchEvent(new KeyboardEvent(event.type, event));
  };
  addEventListener("keydown", fetchBack, { capture: true, signal });

  // The wheel scrolls the notebook until the labeller is at work.
  const pass = (event) => shadow.activeElement ?? event.stopPropagation();
  host.addEventListener("wheel", pass, { capture: true, passive: true });
}

/** Be dark where the notebook is. */
function followTheme(host, signal) {
  const look = () => (host.style.colorScheme = isDark(host) ? "dark" : "light");
  const themes = new MutationObserver(look);
  for (const one of [document.documentElement, document.body]) {
    themes.observe(one, { attributes: true });
  }
  const places = new ResizeObserver(look); // it has none yet
  places.observe(host);
  signal.addEventListener("abort", () => [themes, places].map((each) => each.disconnect()));
}

/** Whether what lies behind an element is dark. */
function isDark(element) {
  for (let behind = element; behind; behind = behind.parentElement) {
    const color = getComputedStyle(behind).backgroundColor.match(/[\d.]+/g).map(Number);
    const [red, green, blue, opacity = 1] = color;
    if (opacity > 0.5) return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 128;
  }
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

async function render({ model, el }) {
  if (!isSecureContext) {
    el.textContent = INSECURE;
    return;
  }
  const { mount } = await import(addressOf("app.js"));
  const closing = new AbortController();
  const host = document.createElement("div");
  const shadow = host.attachShadow({ mode: "open" });
  const style = document.createElement("style");
  style.textContent = SOURCES["style.css"] + STYLE;
  const transport = transportOver(model);
  const annotator = model.get("_annotator");
  const session = memory();
  let root, app;

  function restart() {
    app?.close();
    root = document.createElement("div");
    root.tabIndex = -1;
    shadow.replaceChildren(style, root);
    app = mount(root, transport, { annotator, restart, session });
    app.began.catch((error) => (root.textContent = error.message));
  }

  partKeyboard(host, () => root, closing.signal);
  followTheme(host, closing.signal);
  restart();
  model.on("comm_live_update", () => transport.reach().catch(() => app.alarm(GONE)));
  el.append(host);
  return () => {
    app.close();
    closing.abort();
    host.remove();
  };
}

export default { render };
