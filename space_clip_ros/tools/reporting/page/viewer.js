"use strict";
(() => {
  const box = document.getElementById("viewer");
  const data = JSON.parse(document.getElementById("clouds").textContent);
  const choice = document.getElementById("cloud-frame");
  const truthBox = document.getElementById("cloud-truth");
  const colorChoice = document.getElementById("cloud-color");
  const TRUTH_COLOR = 0xff40ff;

  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

  function say(text) {
    const paragraph = document.createElement("p");
    paragraph.textContent = text;
    box.replaceChildren(paragraph);
  }

  /* Optical frame (x right, y down, z ahead) to the viewer's (x right, y up, z back). */
  function positions(layer) {
    const codes = new Uint16Array(bytes(layer.points).buffer);
    const result = new Float32Array(codes.length);
    for (let index = 0; index < codes.length; index += 1) {
      const axis = index % 3;
      const metres = layer.low[axis] + (codes[index] / 65535) * (layer.high[axis] - layer.low[axis]);
      result[index] = axis ? -metres : metres;
    }
    return result;
  }

  /* The page's colours of depth, as in space_clip_ros.geometry.color: entry 1 of the table is the furthest, 255 the nearest. */
  function depthColors(xyz) {
    const table = bytes(data.table);
    const far = Math.log1p(data.max_depth);
    const steps = 254 / (far - Math.log1p(data.min_depth));
    const result = new Uint8Array(xyz.length);
    for (let index = 0; index < xyz.length; index += 3) {
      const entry = Math.round(1 + steps * (far - Math.log1p(-xyz[index + 2])));
      const from = 3 * Math.min(255, Math.max(1, entry));
      result.set(table.subarray(from, from + 3), index);
    }
    return result;
  }

  function layer(xyz, colors, size) {
    const geometry = new THREE.BufferGeometry();
    geometry.setAttribute("position", new THREE.BufferAttribute(xyz, 3));
    const options = { size, sizeAttenuation: false };
    if (colors) {
      geometry.setAttribute("color", new THREE.BufferAttribute(colors, 3, true));
      options.vertexColors = true;
    } else {
      options.color = TRUTH_COLOR;
    }
    return new THREE.Points(geometry, new THREE.PointsMaterial(options));
  }

  // The pictures' colours must be shown unchanged.
  THREE.ColorManagement.enabled = false;
  let renderer;
  try {
    renderer = new THREE.WebGLRenderer({ antialias: true });
  } catch (error) {
    say("The cloud needs WebGL, which this browser does not have.");
    return;
  }
  renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2));
  renderer.outputColorSpace = THREE.LinearSRGBColorSpace;
  renderer.domElement.setAttribute("aria-label", "cloud: drag to turn, wheel or pinch to zoom, right button to move");
  box.replaceChildren(renderer.domElement);

  const scene = new THREE.Scene();
  scene.background = new THREE.Color(0x16181d);
  const camera = new THREE.PerspectiveCamera(55, 1, 0.1, 1000);
  const controls = new THREE.OrbitControls(camera, renderer.domElement);
  let shown = [];
  let scheduled = false;

  function draw() {
    if (!scheduled) {
      scheduled = true;
      requestAnimationFrame(() => {
        scheduled = false;
        renderer.render(scene, camera);
      });
    }
  }

  function reset() {
    camera.position.set(-2, 3, 3.5);
    controls.target.set(0, -0.5, -9);
    controls.update();
    draw();
  }

  function build() {
    for (const points of shown) {
      scene.remove(points);
      points.geometry.dispose();
      points.material.dispose();
    }
    const frame = data.frames[Number(choice.value)];
    const xyz = positions(frame.cloud);
    const byDepth = colorChoice.value === "depth";
    shown = [layer(xyz, byDepth ? depthColors(xyz) : bytes(frame.cloud.colors), 2)];
    if (frame.truth && truthBox && truthBox.checked) {
      shown.push(layer(positions(frame.truth), null, 1.5));
    }
    scene.add(...shown);
    box.dataset.points = shown.reduce((sum, points) => sum + points.geometry.getAttribute("position").count, 0);
    draw();
  }

  function fit() {
    renderer.setSize(box.clientWidth, box.clientHeight);
    camera.aspect = box.clientWidth / box.clientHeight;
    camera.updateProjectionMatrix();
    draw();
  }

  controls.addEventListener("change", draw);
  for (const control of [choice, truthBox, colorChoice]) {
    if (control) {
      control.addEventListener("change", build);
    }
  }
  document.getElementById("cloud-reset").addEventListener("click", reset);
  new ResizeObserver(fit).observe(box);
  build();
  reset();
})();
