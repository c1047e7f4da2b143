"use strict";
const byId = (id) => document.getElementById(id);
const state = byId("state");

function say(text, level) {
  state.textContent = text;
  state.className = level;
}

function fill(parent, rows, make) {
  parent.replaceChildren(...rows.map((row) => {
    const [outer, inner] = make;
    const element = document.createElement(outer);
    element.className = outer === "div" ? "card" : "";
    row.forEach((text, index) => {
      const part = document.createElement(inner[index]);
      part.textContent = text;
      element.append(part);
    });
    return element;
  }));
}

async function draw(id, jpeg) {
  const canvas = byId(id);
  if (!jpeg.byteLength) {
    canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    return;
  }
  const picture = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
  canvas.getContext("2d").drawImage(picture, 0, 0);
  picture.close();
  canvas.closest("figure").hidden = false;
}

async function show(message) {
  const start = 4 + new DataView(message).getUint32(0, true);
  const update = JSON.parse(new TextDecoder().decode(new Uint8Array(message, 4, start - 4)));
  let end = start;
  await Promise.all(Object.entries(update.pictures).map(([id, size]) => draw(id, message.slice(end, end += size))));
  fill(byId("cards"), update.cards, ["div", ["b", "span"]]);
  fill(byId("facts"), update.facts, ["tr", ["td", "td"]]);
  if (byId("scale").dataset.shown !== update.scale) {
    byId("scale").innerHTML = byId("scale").dataset.shown = update.scale;
  }
  say(update.state, update.level);
}

const socket = new WebSocket(new URL("live", location.href.replace(/^http/, "ws")));
let last = Promise.resolve();
socket.binaryType = "arraybuffer";
socket.onmessage = (event) => {
  // Ask for the next update only once this one is drawn, so that a slow connection skips updates, never queues them.
  last = show(event.data).finally(() => socket.readyState === WebSocket.OPEN && socket.send("next"));
};
socket.onclose = async (event) => {
  await last.catch(() => undefined);
  document.body.classList.add("ended");
  document.title = "Ended - live view";
  const why = event.code === 1001 ? "The demo has ended." : "The connection is lost; the demo has ended or was stopped.";
  say(`${why} This is the last update.`, "ended");
};
