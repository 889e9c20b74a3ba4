// A sheet to draw on with mouse, touch, pen or keyboard.

const STEP = 4; // pixels of the canvas that an arrow key moves the pen
const FAR = 16; // the same, with Shift

/** The drawing: strokes on a canvas, painted anew whenever one is taken back. */
export class Sheet {
  /**
   * @param {object} parts
   * @param {HTMLCanvasElement} parts.canvas
   * @param {HTMLElement} parts.pen Marks where the keyboard's pen is.
   * @param {boolean} parts.dark Whether the ground is dark.
   * @param {() => {tool: string, size: number, colour: string | null}} parts.setting What is drawn
   *     with: tool "shape", "brush" or "eraser"; size in pixels of the canvas.
   * @param {(finished: boolean) => void} parts.changed Is told of every change, and whether a
   *     stroke ended with it.
   * @param {(down: boolean) => void} parts.penMoved Is told when the keyboard sets the pen down or
   *     lifts it.
   */
  constructor({ canvas, pen, dark, setting, changed, penMoved }) {
    Object.assign(this, { canvas, pen, setting, changed, penMoved });
    this.context = canvas.getContext("2d");
    [this.ground, this.ink] = dark ? ["#000", "#e6e6e6"] : ["#fff", "#222"];
    this.strokes = [];
    this.stroke = null;
    this.at = [canvas.width / 2, canvas.height / 2];
    this.paint();
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => event.pointerId === this.pointer && this.lift());
    }
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => {
      this.lift();
      this.pen.hidden = true;
    });
  }

  get isEmpty() {
    return this.strokes.length === 0;
  }

  /** Takes the last stroke back. */
  undo() {
    this.lift();
    this.strokes.pop();
    this.paint();
    this.changed(true);
  }

  clear() {
    this.stroke = null;
    this.strokes = [];
    this.paint();
    this.changed(true);
  }

  /** The drawing as a picture file. */
  picture() {
    return new Promise((resolve) => this.canvas.toBlob(resolve, "image/png"));
  }

  begin(point) {
    const { tool, size, colour } = this.setting();
    const ink = tool === "eraser" ? this.ground : (colour ?? this.ink);
    this.stroke = { filled: tool === "shape", size, ink, points: [point] };
    this.strokes.push(this.stroke);
    this.paint();
    this.changed(false);
  }

  extend(points) {
    this.stroke.points.push(...points);
    this.paint();
    this.changed(false);
  }

  lift() {
    this.pointer = undefined;
    if (!this.stroke) return;
    this.stroke = null;
    this.changed(true);
  }

  down(event) {
    if (event.button !== 0 || this.stroke) return;
    event.preventDefault();
    this.canvas.focus({ preventScroll: true });
    this.pen.hidden = true;
    this.canvas.setPointerCapture(event.pointerId);
    this.pointer = event.pointerId;
    this.begin(this.place(event));
  }

  move(event) {
    if (!this.stroke || event.pointerId !== this.pointer) return;
    const passed = event.getCoalescedEvents?.() ?? [];
    this.extend((passed.length ? passed : [event]).map((each) => this.place(each)));
  }

  place({ clientX, clientY }) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    return [
      ((clientX - left) * this.canvas.width) / width,
      ((clientY - top) * this.canvas.height) / height,
    ];
  }

  key(event) {
    if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      if (!this.isEmpty) this.undo();
      return;
    }
    const [x, y] = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
    }[event.key] ?? [0, 0];
    const sets = event.key === " " || event.key === "Enter";
    if (!sets && !x && !y) return;
    event.preventDefault();
    if (sets) {
      if (this.stroke) this.lift();
      else this.begin([...this.at]);
      this.penMoved(this.stroke !== null);
    } else {
      const step = event.shiftKey ? FAR : STEP;
      const within = (value, size) => Math.min(size, Math.max(0, value));
      this.at = [
        within(this.at[0] + x * step, this.canvas.width),
        within(this.at[1] + y * step, this.canvas.height),
      ];
      if (this.stroke) this.extend([[...this.at]]);
    }
    this.pen.hidden = false;
    this.pen.classList.toggle("down", this.stroke !== null);
    this.pen.style.left = `${(100 * this.at[0]) / this.canvas.width}%`;
    this.pen.style.top = `${(100 * this.at[1]) / this.canvas.height}%`;
  }

  paint() {
    const { context, canvas } = this;
    context.fillStyle = this.ground;
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.lineCap = context.lineJoin = "round";
    for (const { filled, size, ink, points } of this.strokes) {
      context.strokeStyle = context.fillStyle = ink;
      context.lineWidth = size;
      context.beginPath();
      context.moveTo(...points[0]);
      for (const point of points) context.lineTo(...point);
      if (filled) {
        context.closePath();
        context.fill();
      }
      context.stroke();
    }
  }
}
