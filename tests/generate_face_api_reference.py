"""Make tests/data/face_api_reference.npz: what face-api itself answers on a made photo.

Needs Node.js, and packages in a folder of their own::

    npm install @vladmandic/face-api@1.7.15 @tensorflow/tfjs@4.22.0
    python tests/generate_face_api_reference.py FOLDER
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from generate_fer_reference import _face

TARGET = Path(__file__).parent / "data" / "face_api_reference.npz"

ROWS, COLUMNS, SIDE = 4, 6, 120

SCRIPT = """
const fs = require('fs'), path = require('path'), Module = require('module');
const resolve = Module._resolveFilename; // plain JavaScript in place of the native build
Module._resolveFilename = (name, ...rest) =>
  resolve(name === '@tensorflow/tfjs-node' ? '@tensorflow/tfjs' : name, ...rest);
const folder = path.join(process.cwd(), 'node_modules/@vladmandic/face-api');
const faceapi = require(path.join(folder, 'dist/face-api.node.js'));
const { shape, boxes, pixels } = JSON.parse(fs.readFileSync(0));
(async () => {
  await faceapi.tf.setBackend('cpu');
  const net = faceapi.nets.faceExpressionNet;
  await net.loadFromDisk(path.join(folder, 'model'));
  const photo = faceapi.tf.tensor3d(Int32Array.from(Buffer.from(pixels, 'base64')), shape);
  const rects = boxes.map(([x1, y1, x2, y2]) => new faceapi.Rect(x1, y1, x2 - x1, y2 - y1));
  const faces = await faceapi.extractFaceTensors(photo, rects);
  const rows = [];
  for (const face of faces) rows.push(Array.from(await (await net.forward(face)).data()));
  process.stdout.write(JSON.stringify(rows));
})();
"""


def make_photo():
    """Return a made photo of drawn faces, uint8, shape (480, 720, 3)."""
    rng = np.random.RandomState(11)  # unlike a Generator, its stream never changes
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    tiles = [_face(x, y, *rng.uniform(0, 1, 4)) for _ in range(ROWS * COLUMNS)]
    light = np.array(tiles).reshape(ROWS, COLUMNS, SIDE, SIDE).swapaxes(1, 2)
    light = light.reshape(ROWS * SIDE, COLUMNS * SIDE, 1) * rng.uniform(0.5, 1, 3)
    noise = rng.normal(0, 0.04, (*light.shape[:2], 3))
    return np.clip(140 + 100 * (light + noise), 0, 255).astype(np.uint8)


def make_boxes():
    """Return 40 boxes in it, shape (40, 4): on faces, across them, beyond the edges, tiny."""
    rng = np.random.RandomState(12)
    row, column = np.divmod(np.arange(ROWS * COLUMNS), COLUMNS)
    corners = np.stack([column, row], axis=1) * SIDE + rng.uniform(-20, 25, (len(row), 2))
    faces = np.hstack([corners, corners + rng.uniform(70, 140, (len(row), 2))])
    starts = rng.uniform(-30, 400, (14, 2))
    others = np.hstack([starts, starts + rng.uniform(40, 330, (14, 2))])
    boxes = np.vstack([faces, others, [[0, 0, 112, 112], [700.5, 470.25, 712.5, 481]]])
    return np.float32(boxes)


if __name__ == "__main__":
    import base64

    photo, boxes = make_photo(), make_boxes()
    pixels = base64.b64encode(photo.tobytes()).decode()
    told = json.dumps({"shape": photo.shape, "boxes": boxes.tolist(), "pixels": pixels})
    run = subprocess.run(
        ["node", "-e", SCRIPT], input=told, cwd=sys.argv[1], capture_output=True, text=True
    )
    if run.returncode:
        sys.exit(run.stderr)
    np.savez_compressed(TARGET, probs=np.float32(json.loads(run.stdout)))
    print(f"wrote {TARGET}")
