// The points of the map: by WebGL where a card draws it, else pixels set one by one.
const SIDE = 65535;

const VERTEX = `#version 300 es
in vec2 place; in float kind; uniform vec4 view; uniform float size; uniform sampler2D colors; out vec4 color;
void main() {
  gl_Position = vec4(place.x * view.x + view.z, place.y * view.y + view.w, 0.0, 1.0);
  gl_PointSize = size;
  color = texelFetch(colors, ivec2(int(kind), 0), 0);
}`;

const FRAGMENT = `#version 300 es
precision highp float; in vec4 color; uniform float size; out vec4 shown;
void main() {
  float out_of = length(gl_PointCoord - 0.5) * size;
  float edge = size > 2.5 ? 1.0 - smoothstep(size * 0.5 - 1.0, size * 0.5, out_of) : 1.0;
  shown = vec4(color.rgb, 1.0) * color.a * edge;
}`;

// The canvas is drawn by pixels, and by WebGL from when there is time to start that, which without
// a card can take seconds; a card that is only imitated is slower than pixels, and is left alone.
function byWebGL(canvas, positions) {
  const other = canvas.cloneNode(); // a canvas never has two kinds of context
  const gl = other.getContext("webgl2", { antialias: false, failIfMajorPerformanceCaveat: true });
  if (!gl) return null;
  const told = gl.getExtension("WEBGL_debug_renderer_info");
  const card = told ? gl.getParameter(told.UNMASKED_RENDERER_WEBGL) : "";
  if (/swiftshader|llvmpipe|software|basic render/i.test(card)) return null;
  try {
    const made = drawnByWebGL(gl, other, positions);
    canvas.replaceWith(other);
    return made;
  } catch (error) {
    console.info(`WebGL: ${error.message}`);
    return null;
  }
}

// positions: Uint16Array [n, 2]. The view is the scale in pixels of the whole map and where its
// corner lies; y of the data grows upwards.
function drawnByWebGL(gl, canvas, positions) {
  const program = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
  gl.useProgram(program);
  const places = gl.createBuffer();
  gl.bindBuffer(gl.ARRAY_BUFFER, places);
  gl.bufferData(gl.ARRAY_BUFFER, positions, gl.STATIC_DRAW);
  const place = gl.getAttribLocation(program, "place");
  gl.enableVertexAttribArray(place);
  gl.vertexAttribPointer(place, 2, gl.UNSIGNED_SHORT, true, 0, 0);
  const kinds = gl.createBuffer();
  gl.bindBuffer(gl.ARRAY_BUFFER, kinds);
  const kind = gl.getAttribLocation(program, "kind");
  gl.enableVertexAttribArray(kind);
  gl.vertexAttribPointer(kind, 1, gl.UNSIGNED_BYTE, false, 0, 0);
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  const uniform = (own) => gl.getUniformLocation(program, own);
  return {
    // Where points lie was changed in the array.
    moved() {
      gl.bindBuffer(gl.ARRAY_BUFFER, places);
      gl.bufferData(gl.ARRAY_BUFFER, positions, gl.STATIC_DRAW);
      gl.bindBuffer(gl.ARRAY_BUFFER, kinds);
    },
    blends: true, // where points lie on each other, the color is fuller
    // kinds [n] uint8, and colours [256, 4] uint8 by kind, not premultiplied.
    color(own, colors) {
      gl.bufferData(gl.ARRAY_BUFFER, own, gl.DYNAMIC_DRAW);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, colors);
    },
    draw(view, size) {
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      const [wide, high] = [canvas.width, canvas.height];
      const scale = view.scale * view.ratio;
      gl.uniform4f(uniform("view"), (2 * scale) / wide, (2 * scale) / high, (2 * view.x * view.ratio) / wide - 1, 1 - (2 * (view.y * view.ratio + scale)) / high);
      gl.uniform1f(uniform("size"), size * view.ratio);
      gl.uniform1i(uniform("colors"), 0);
      gl.drawArrays(gl.POINTS, 0, positions.length / 2);
    },
  };
}

function drawnByPixels(canvas, positions) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  let [kinds, colors] = [null, null];
  return {
    moved() {},
    color(own, made) {
      [kinds, colors] = [own, new Uint32Array(made.buffer)];
    },
    draw(view, size) {
      const { width, height } = canvas;
      const picture = context.createImageData(width, height);
      const pixels = new Uint32Array(picture.data.buffer);
      const [scale, reach] = [view.scale * view.ratio, Math.max(1, Math.round(size * view.ratio))];
      // How far each line of a round point begins inside its square.
      const inset = Array.from({ length: reach }, (_, line) => (reach < 4 ? 0 : Math.round(reach / 2 - Math.sqrt((reach / 2) ** 2 - (line + 0.5 - reach / 2) ** 2))));
      for (let at = 0; at < kinds.length; at++) {
        const x = Math.round(view.x * view.ratio + (positions[2 * at] / SIDE) * scale - reach / 2);
        const y = Math.round(view.y * view.ratio + (1 - positions[2 * at + 1] / SIDE) * scale - reach / 2);
        if (x < 0 || y < 0 || x + reach > width || y + reach > height) continue;
        const color = colors[kinds[at]];
        for (let down = 0; down < reach; down++) {
          const line = (y + down) * width + x;
          for (let pixel = line + inset[down]; pixel < line + reach - inset[down]; pixel++) pixels[pixel] = color;
        }
      }
      context.putImageData(picture, 0, 0);
    },
  };
}

// Finds the point nearest to a place: points sorted by the cell of a grid that they are in.
function pointFinder(positions) {
  const [cells, shift] = [256, 8];
  const points = positions.length / 2;
  const starts = new Uint32Array(cells * cells + 1);
  const cellOf = (at) => (positions[2 * at + 1] >> shift) * cells + (positions[2 * at] >> shift);
  for (let at = 0; at < points; at++) starts[cellOf(at) + 1]++;
  for (let cell = 0; cell < cells * cells; cell++) starts[cell + 1] += starts[cell];
  const [next, order] = [starts.slice(), new Uint32Array(points)];
  for (let at = 0; at < points; at++) order[next[cellOf(at)]++] = at;
  return (x, y, radius) => {
    let [best, found] = [radius * radius, -1];
    const bound = (value) => Math.min(Math.max(value >> shift, 0), cells - 1);
    for (let row = bound(y - radius); row <= bound(y + radius); row++) {
      for (let cell = row * cells + bound(x - radius); cell <= row * cells + bound(x + radius); cell++) {
        for (let place = starts[cell]; place < starts[cell + 1]; place++) {
          const at = order[place];
          const away = (positions[2 * at] - x) ** 2 + (positions[2 * at + 1] - y) ** 2;
          if (away < best) [best, found] = [away, at];
        }
      }
    }
    return found;
  };
}
