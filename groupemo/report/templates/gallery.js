// The gallery: filters, and the photo behind each picture. Without scripts everything is shown.
for (const form of document.querySelectorAll(".filters")) {
  const cards = [...document.querySelectorAll(".shot")];
  const filter = () => {
    const wanted = new FormData(form), kinds = wanted.getAll("kind");
    const fits = (card) => kinds.includes(card.dataset.kind) && ["runs", "labelled", "answered"].every(
      (name) => !wanted.get(name) || card.dataset[name].split(" ").includes(wanted.get(name)));
    for (const card of cards) card.hidden = !fits(card);
    for (const group of document.querySelectorAll(".shots")) group.hidden = !group.querySelector(".shot:not([hidden])");
    const shown = cards.filter((card) => !card.hidden).length, by = wanted.get("runs") ? form.elements.runs.selectedOptions[0].text : "all";
    form.querySelector("output").textContent = `${shown} of ${cards.length} pictures shown, by ${by}`;
  };
  form.addEventListener("input", filter);
  form.addEventListener("reset", () => setTimeout(filter));
  form.hidden = false;
  filter();
}
for (const dialog of document.querySelectorAll(".viewer")) {
  const [title, stage, pick, legend, place] = ["h3", ".stage", "select", ".legend", ".place"].map((name) => dialog.querySelector(name));
  const image = stage.firstElementChild;
  const open = () => [...document.querySelectorAll(".shot[data-photo]:not([hidden])")];
  let data, card;
  const make = (tag, className, ...inside) => {
    const made = document.createElement(tag);
    made.className = className;
    made.append(...inside);
    return made;
  };
  const boxOn = (photo, [left, top, right, bottom], className, text) => {
    const [x, y] = photo.size.map((side) => (pixels) => `${(100 * pixels) / side}%`);
    const edge = Math.min(top, photo.size[1] - bottom) < photo.size[1] / 25 ? " edge" : "";
    const made = make("span", className + edge, ...(text ? [make("i", "", text)] : []));
    Object.assign(made.style, { left: x(left), top: y(top), width: x(right - left), height: y(bottom - top) });
    stage.append(made);
  };
  const hue = (bin) => "b-" + data.bins[bin].replaceAll(" ", "-");
  const unfound = (bin) => ["missed", "localisation", "not judged"].includes(data.bins[bin]);
  const draw = () => {
    const photo = data.photos[card.dataset.photo], seen = photo.runs[pick.selectedIndex];
    const counts = data.bins.map((_, bin) => seen.found.filter((one) => one[4] === bin).length);
    const missed = data.bins.indexOf("missed");
    counts[missed] = seen.faces.filter((bin) => bin === missed).length;
    stage.replaceChildren(image);
    boxOn(photo, card.dataset.box.split(" "), "target");
    photo.faces.forEach((face, row) => boxOn(photo, face, unfound(seen.faces[row]) ? `face ${hue(seen.faces[row])}` : "face", face[4]));
    seen.found.forEach((one) => boxOn(photo, one, hue(one[4]), one[5]));
    const told = [["face", photo.faces.length, "labelled"], ...counts.map((count, bin) => [hue(bin), count, data.bins[bin]])].filter(([, count]) => count);
    legend.replaceChildren(...told.map(([className, count, word]) => make("li", "", make("span", `swatch ${className}`), `${word} ${count}`)));
    stage.setAttribute("aria-label", `${photo.name}, boxes of ${pick.selectedOptions[0].text}: ${told.map(([, count, word]) => `${word} ${count}`).join(", ")}`);
  };
  const show = (next) => {
    card = next;
    data ??= JSON.parse(document.getElementById("gallery-data").textContent);
    const photo = data.photos[card.dataset.photo], runs = card.dataset.runs.split(" ").map(Number);
    const wanted = Number(document.querySelector(".filters [name=runs]").value);
    pick.replaceChildren(...data.runs.map(([number, name], row) => Object.assign(new Option(name, number), { disabled: !photo.runs[row] })));
    pick.value = runs.includes(wanted) ? wanted : runs[0];
    title.replaceChildren(card.dataset.text, make("bdi", "", photo.name));
    const all = open();
    place.textContent = `${all.indexOf(card) + 1} of ${all.length}`;
    if (image.src !== photo.source) image.src = photo.source;
    draw();
    if (!dialog.open) dialog.showModal();
  };
  const step = (by) => {
    const all = open();
    show(all[(all.indexOf(card) + by + all.length) % all.length]);
  };
  for (const one of document.querySelectorAll(".shot[data-photo]")) {
    const picture = one.querySelector("img"), button = make("button", "");
    button.type = "button";
    button.setAttribute("aria-haspopup", "dialog");
    button.addEventListener("click", () => show(one));
    picture.replaceWith(button);
    button.append(picture);
  }
  pick.addEventListener("change", draw);
  dialog.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by && event.target !== pick) step(by);
  });
  dialog.addEventListener("click", ({ target }) => {
    if (target === dialog || target.name === "close") dialog.close();
    if (target.name === "back") step(-1);
    if (target.name === "on") step(1);
  });
  dialog.addEventListener("close", () => card.querySelector("button").focus());
}
