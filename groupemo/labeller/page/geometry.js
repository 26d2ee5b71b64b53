// Boxes and the view of a photo: arithmetic only.
//
// A box is [x1, y1, x2, y2] in pixels of the photo, half-open. A view is {scale, x, y}: the photo's
// pixel (px, py) stands at (px * scale + x, py * scale + y) in CSS pixels of the stage.

export const SMALLEST = 2; // pixels a side
const CLOSEST = 12; // CSS pixels a photo's pixel, at most
const MARGIN = 16; // CSS pixels kept around the photo, so that no handle or name is cut off

const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

/** The whole photo, centered. A size is [width, height]. */
export function fit([width, height], [wide, high]) {
  const scale = Math.max(
    0.001,
    Math.min((wide - 2 * MARGIN) / width, (high - 2 * MARGIN) / height),
  );
  return { scale, x: (wide - width * scale) / 2, y: (high - height * scale) / 2 };
}

/** The view, pulled back to where the photo is whole or fills the stage. */
export function settle(view, photo, stage) {
  const farthest = fit(photo, stage).scale;
  const scale = clamp(view.scale, farthest, Math.max(CLOSEST, farthest));
  const [x, y] = [view.x, view.y].map((offset, axis) => {
    const room = stage[axis] - photo[axis] * scale;
    return room >= 2 * MARGIN ? room / 2 : clamp(offset, room - MARGIN, MARGIN);
  });
  return { scale, x, y };
}

/** The view `factor` times closer, with the point of the stage `at` left where it is. */
export function zoom(view, factor, at, photo, stage) {
  const { scale } = settle({ ...view, scale: view.scale * factor }, photo, stage);
  const [x, y] = [view.x, view.y].map(
    (offset, axis) => at[axis] - ((at[axis] - offset) * scale) / view.scale,
  );
  return settle({ scale, x, y }, photo, stage);
}

/** The view moved as little as brings a box onto the stage. */
export function reveal(view, box, photo, stage, margin = 24) {
  const [left, top, right, bottom] = toStage(view, box);
  const shift = (from, to, room) => {
    if (to - from > room - 2 * margin) return (room - to - from) / 2;
    return clamp(0, margin - from, room - margin - to);
  };
  const moved = {
    ...view,
    x: view.x + shift(left, right, stage[0]),
    y: view.y + shift(top, bottom, stage[1]),
  };
  return settle(moved, photo, stage);
}

export function toStage({ scale, x, y }, box) {
  return box.map((value, side) => value * scale + (side % 2 ? y : x));
}

export function toPhoto({ scale, x, y }, [left, top]) {
  return [(left - x) / scale, (top - y) / scale];
}

/** The box moved by (dx, dy), kept whole inside the photo. */
export function moved([x1, y1, x2, y2], dx, dy, [width, height]) {
  const x = clamp(dx, -x1, width - x2);
  const y = clamp(dy, -y1, height - y2);
  return [x1 + x, y1 + y, x2 + x, y2 + y];
}

/** The box with the named edges ("n", "se" ...) moved by (dx, dy); never turned inside out. */
export function resized([x1, y1, x2, y2], edges, dx, dy, [width, height]) {
  return [
    edges.includes("w") ? clamp(x1 + dx, 0, x2 - SMALLEST) : x1,
    edges.includes("n") ? clamp(y1 + dy, 0, y2 - SMALLEST) : y1,
    edges.includes("e") ? clamp(x2 + dx, x1 + SMALLEST, width) : x2,
    edges.includes("s") ? clamp(y2 + dy, y1 + SMALLEST, height) : y2,
  ];
}

/** The box between two points of the photo, or null where that is too small to be meant. */
export function between([ax, ay], [bx, by], [width, height]) {
  const [x1, x2] = [ax, bx].map((x) => clamp(x, 0, width)).sort((a, b) => a - b);
  const [y1, y2] = [ay, by].map((y) => clamp(y, 0, height)).sort((a, b) => a - b);
  return Math.min(x2 - x1, y2 - y1) < SMALLEST ? null : [x1, y1, x2, y2];
}

/** A box around a point, as large as the other faces of the photo. */
export function around([x, y], boxes, photo) {
  const widths = boxes.map((box) => box[2] - box[0]).sort((a, b) => a - b);
  const width = Math.min(
    widths[widths.length >> 1] ?? Math.min(...photo) / 6,
    ...photo.map((side) => side / 1.3),
  );
  return moved([x - width / 2, y - width * 0.65, x + width / 2, y + width * 0.65], 0, 0, photo);
}

/** Ids of faces as one reads: rows from the top, each from the left. */
export function readingOrder(faces) {
  const heights = faces.map(({ box }) => box[3] - box[1]).sort((a, b) => a - b);
  const row = heights[heights.length >> 1] ?? 1;
  const left = [...faces].sort((a, b) => a.box[1] + a.box[3] - b.box[1] - b.box[3]);
  const order = [];
  while (left.length) {
    const line = (left[0].box[1] + left[0].box[3]) / 2 + row * 0.75;
    const taken = left.filter(({ box }) => (box[1] + box[3]) / 2 <= line);
    left.splice(0, taken.length);
    order.push(...taken.sort((a, b) => a.box[0] - b.box[0]).map(({ id }) => id));
  }
  return order;
}
