// A photo from the device's camera.

/** The camera: runs while its panel is open, and gives a square photo. */
export class Camera {
  /**
   * @param {HTMLElement} panel Holds a video, words with a status, a file input, and a button.
   * @param {object} desk Has the words.
   * @param {(photo: Blob) => void} taken Is given each photo.
   */
  constructor(panel, desk, taken) {
    this.desk = desk;
    this.video = panel.querySelector("video");
    this.words = panel.querySelector("#camera-words");
    this.shoot = panel.querySelector("#shoot");
    this.file = panel.querySelector("input[type=file]");
    this.state = "cameraStarting";
    this.shoot.addEventListener("click", async () => taken(await this.photo()));
    this.file.addEventListener("change", () => {
      if (this.file.files.length) taken(this.file.files[0]);
      this.file.value = "";
    });
  }

  async start() {
    this.wanted = true;
    this.say("cameraStarting");
    if (!navigator.mediaDevices?.getUserMedia) {
      this.say("cameraInsecure");
      return;
    }
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: "environment" },
      });
      this.video.srcObject = stream;
      if (!this.wanted) this.stop(); // the panel was left while the browser asked
      else {
        await this.video.play();
        this.say(null);
      }
    } catch (error) {
      if (!this.wanted) return;
      this.say(error.name === "NotFoundError" ? "cameraMissing" : "cameraRefused");
    }
  }

  stop() {
    this.wanted = false;
    for (const track of this.video.srcObject?.getTracks() ?? []) track.stop();
    this.video.srcObject = null;
    this.say("cameraStarting");
  }

  /** Says again what is to be said, in the language of now. */
  translate() {
    this.say(this.state);
  }

  /** Shows the video, or words in its place: a key of the strings. */
  say(key) {
    this.state = key;
    this.video.hidden = key !== null;
    this.shoot.disabled = key !== null;
    this.words.hidden = key === null;
    this.words.querySelector("p").textContent = key ? this.desk.words[key] : "";
    this.words.querySelector("label").hidden = key === "cameraStarting";
  }

  /** Takes the square that is visible on the page. */
  photo() {
    const { videoWidth: width, videoHeight: height } = this.video;
    const side = Math.min(width, height);
    const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
    const left = (width - side) / 2;
    const top = (height - side) / 2;
    canvas.getContext("2d").drawImage(this.video, left, top, side, side, 0, 0, side, side);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  }
}
