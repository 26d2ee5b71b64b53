// A picture of the browser's camera: in Colab by takePicture(place), in Jupyter as a widget.

const SIDE = 1600; // pixels of the longer side at most

function add(place, tag, text = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  element.style.margin = "0 .6em .4em 0";
  place.append(element);
  return element;
}

function draw(video) {
  const factor = Math.min(1, SIDE / Math.max(video.videoWidth, video.videoHeight));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(video.videoWidth * factor);
  canvas.height = Math.round(video.videoHeight * factor);
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/jpeg", 0.92);
}

// Show what the camera sees until the button is pressed.
// Gives {picture: "data:image/jpeg;base64,..."}, or {problem: why there is none}.
async function takePicture(place) {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({video: {width: {ideal: 1280}}});
  } catch (error) {
    return {problem: `${error.name}: ${error.message}`};
  }
  const box = add(place, "div");
  const video = add(box, "video");
  video.style.maxWidth = "100%";
  video.srcObject = stream;
  video.muted = video.playsInline = true;
  try {
    await video.play();
    const button = add(box, "button", "Take the picture");
    button.focus();
    await new Promise((resolve) => button.addEventListener("click", resolve, {once: true}));
    return {picture: draw(video)};
  } catch (error) {
    return {problem: `${error.name}: ${error.message}`};
  } finally {
    for (const track of stream.getTracks()) track.stop();
    box.remove();
  }
}

function render({model, el}) {
  const open = add(el, "button", "Open the camera");
  const said = add(el, "span", model.get("_said"));
  said.setAttribute("role", "status");
  model.on("change:_said", () => { said.textContent = model.get("_said"); });
  open.addEventListener("click", async () => {
    open.disabled = true;
    said.textContent = "";
    model.set("_taken", {...await takePicture(el), at: Date.now()});
    model.save_changes();
    open.disabled = false;
  });
}
