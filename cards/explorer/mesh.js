// A mesh that can be rotated, drawn by WebGL.
"use strict";

explorer.Mesh = class {
  static VERTEX = `#version 300 es
    in vec3 point; uniform mat3 turn; uniform vec2 shape; out vec3 place;
    void main() { place = turn * point; gl_Position = vec4(place.xy * shape * 0.95, -place.z * 0.25, 1.0); }`;
  static FRAGMENT = `#version 300 es
    precision highp float; in vec3 place; out vec4 colour;
    void main() {
      vec3 side = normalize(cross(dFdx(place), dFdy(place)));
      float light = 0.25 + 0.65 * abs(side.z) + 0.1 * side.y;
      colour = vec4(vec3(0.93, 0.86, 0.78) * light, 1.0);
    }`;

  /** @param {HTMLCanvasElement} canvas - dragging on it or arrow keys rotate the mesh */
  constructor(canvas) {
    Object.assign(this, { canvas, yaw: 0, pitch: 0, box: null, count: 0 });
    const gl = (this.gl = canvas.getContext("webgl2", { antialias: true, preserveDrawingBuffer: true }));
    if (!gl) return;
    this.program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, explorer.Mesh.VERTEX], [gl.FRAGMENT_SHADER, explorer.Mesh.FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(this.program, shader);
    }
    gl.bindAttribLocation(this.program, 0, "point");
    gl.linkProgram(this.program);
    [this.points, this.triangles] = [gl.createBuffer(), gl.createBuffer()];
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => event.buttons && this.turn(event.movementX / 120, event.movementY / 120));
    canvas.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, -0.15], ArrowDown: [0, 0.15] }[event.key];
      if (!by) return;
      this.turn(...by);
      event.preventDefault();
      event.stopPropagation();
    });
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  /** Show a mesh; the first mesh sets the scale and position of all. */
  show(mesh) {
    const { gl } = this;
    if (!gl) return;
    const packed = explorer.decode(mesh.points);
    this.box ??= { centre: mesh.centre, half: mesh.half };
    const points = new Float32Array(packed.length);
    for (let i = 0; i < packed.length; i++) points[i] = ((packed[i] / 32767) * mesh.half + mesh.centre[i % 3] - this.box.centre[i % 3]) / this.box.half;
    const triangles = explorer.decode(mesh.triangles);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.points);
    gl.bufferData(gl.ARRAY_BUFFER, points, gl.STATIC_DRAW);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.triangles);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, triangles, gl.STATIC_DRAW);
    this.count = triangles.length;
    this.draw();
  }

  turn(yaw, pitch) {
    this.yaw += yaw;
    this.pitch = Math.min(1.5, Math.max(-1.5, this.pitch + pitch));
    this.draw();
  }

  draw() {
    const { gl, canvas } = this;
    if (!gl || !this.count || !canvas.clientWidth) return;
    const scale = window.devicePixelRatio || 1;
    [canvas.width, canvas.height] = [Math.round(canvas.clientWidth * scale), Math.round(canvas.clientHeight * scale)];
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0.07, 0.09, 0.11, 1);
    gl.enable(gl.DEPTH_TEST);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.useProgram(this.program);
    const [c, s, d, t] = [Math.cos(this.yaw), Math.sin(this.yaw), Math.cos(this.pitch), Math.sin(this.pitch)];
    const columns = [c, t * s, -d * s, 0, d, t, s, -t * c, d * c];
    gl.uniformMatrix3fv(gl.getUniformLocation(this.program, "turn"), false, columns);
    const least = Math.min(canvas.width, canvas.height);
    gl.uniform2f(gl.getUniformLocation(this.program, "shape"), least / canvas.width, least / canvas.height);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.points);
    gl.enableVertexAttribArray(0);
    gl.vertexAttribPointer(0, 3, gl.FLOAT, false, 0, 0);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.triangles);
    gl.drawElements(gl.TRIANGLES, this.count, gl.UNSIGNED_INT, 0);
  }
};
