// Labels taken in from files.

import { count, element } from "./element.js";

const FORMATS = [
  ["csv", "label file of groupemo (CSV)"],
  ["coco", "COCO (JSON)"],
  ["labelstudio", "Label Studio (JSON)"],
  ["voc", "Pascal VOC (XML, one file a photo)"],
];

/** Furnish the dialog in which files are chosen. */
export function furnishImport(dialog, desk) {
  const form = dialog.querySelector("form.files");
  const { file, format } = form.elements;
  const told = dialog.querySelector(".told");
  format.replaceChildren(...FORMATS.map(([name, text]) => new Option(text, name)));
  file.onchange = async () => {
    told.replaceChildren();
    if (file.files.length) format.value = await formatOf(file.files[0]);
  };
  form.onsubmit = async (event) => {
    event.preventDefault();
    const button = form.querySelector(".primary");
    button.disabled = true;
    told.replaceChildren("Reading ...");
    told.replaceChildren(...(await takeIn([...file.files], format.value, desk)));
    button.disabled = false;
  };
}

/** The format that a file most likely has. */
async function formatOf(file) {
  if (/\.csv$/i.test(file.name)) return "csv";
  if (/\.xml$/i.test(file.name)) return "voc";
  const begins = (await file.slice(0, 100).text()).trimStart();
  return begins.startsWith("[") ? "labelstudio" : "coco";
}

/** Import files until one cannot be; gives what happened, as elements. */
async function takeIn(files, format, desk) {
  const sum = { photos: 0, faces: 0, kept: 0 };
  let wrong = null;
  try {
    for (const file of files) {
      const { name } = file;
      const reply = await desk.ask({ do: "import", name, format, text: await file.text() });
      for (const key of Object.keys(sum)) sum[key] += reply[key];
    }
  } catch (error) {
    wrong = element("p", { className: "wrong", role: "alert" }, error.message);
  }
  await desk.refresh().catch(() => {});
  const taken = `${count(sum.faces, "face")} in ${count(sum.photos, "photo")} taken in.`;
  const kept = `Left as it was, for somebody else has labelled it here: ${count(sum.kept, "photo")}.`;
  const same = "Nothing in it differs from what is here.";
  const done = [
    sum.photos && taken,
    sum.kept && kept,
    !wrong && !sum.photos && !sum.kept && same,
  ].filter(Boolean);
  return [...done.map((text) => element("p", {}, text)), ...(wrong ? [wrong] : [])];
}
