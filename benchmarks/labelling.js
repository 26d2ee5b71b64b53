// In the labeller's page, for `labelling.py`: when what a key asked for was there. Times are
// milliseconds since the browser had the key (`event.timeStamp`); `measured` has a row a key.
() => {
  const face = document.querySelector(".face canvas");
  const photo = document.querySelector(".view canvas");
  const saved = document.querySelector(".saved");
  const keys = (window.measured = []);
  let done = () => {};

  /** Note a time once the frame that is drawn next is drawn: after its paint, before its display. */
  function afterFrame(...names) {
    const key = keys.at(-1);
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        const after = performance.now() - key.at;
        for (const name of names) key[name] ??= after;
        done();
      };
      port2.postMessage(null);
    });
  }

  /** Call back when an element's attribute was set, after the task that set it. */
  function watch(target, attribute, react) {
    const filtered = { attributes: true, attributeFilter: [attribute] };
    new MutationObserver(() => keys.length && react()).observe(target, filtered);
  }

  addEventListener("keydown", ({ key, timeStamp: at }) => keys.push({ key, at }), true);
  watch(face, "data-sharp", () => {
    if (face.dataset.sharp) afterFrame("any", ...(face.dataset.sharp === "true" ? ["sharp"] : []));
  });
  watch(photo, "width", () => photo.width > 1 && afterFrame("photo"));
  watch(saved, "data-state", () => {
    if (saved.dataset.state !== "saved") return;
    for (const key of keys) key.saved ??= performance.now() - key.at;
    done();
  });
  new PerformanceObserver((list) => {
    for (const { name, startTime, duration } of list.getEntries()) {
      const key = name === "keydown" && keys.find(({ at }) => Math.abs(at - startTime) < 1);
      if (key) key.display = duration;
    }
  }).observe({ type: "event", durationThreshold: 16 });

  /** Resolves when the last key has all of these. */
  window.until = (...names) =>
    new Promise((resolve) => {
      done = () => names.every((name) => name in keys.at(-1)) && resolve();
      done();
    });
}
