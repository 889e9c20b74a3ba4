// What the page says of pictures, in Korean. Every key is in each file of strings.

const number = (value) => value.toLocaleString("ko");
const megabytes = (bytes) => `${(bytes / 2 ** 20).toLocaleString("ko", { maximumFractionDigits: 1 })}MB`;

export default {
  title: "모델에게 사진을 보여 주세요",

  ways: "사진을 주는 방법",
  picture: "사진",
  draw: "그리기",
  camera: "카메라",
  choose: "사진 고르기",
  drop: "여기에 사진을 끌어다 놓거나, 붙여 넣거나, 파일에서 고르세요.",
  another: "다른 사진은 끌어다 놓거나, 붙여 넣거나, 눌러서 고르세요.",
  dropNow: "놓으면 바로 분류합니다",
  given: (name) => `주신 사진: ${name}`,
  pasted: "붙여 넣은 사진",
  drawing: "그림",
  photo: "찍은 사진",

  canvas: "그림판",
  drawHint: (dark) =>
    `${dark ? "어두운 바탕에 밝게" : "밝은 바탕에 어둡게"} 그려 보세요. 그리는 대로 답이 바뀝니다.`,
  drawKeys:
    "키보드로 그릴 때: 화살표 키로 펜을 옮기고(Shift를 누르면 더 멀리), 스페이스 바로 펜을 내리거나 들고, Ctrl+Z로 되돌립니다.",
  tools: "도구",
  shape: "채운 모양",
  brush: "붓",
  eraser: "지우개",
  size: "굵기",
  colour: "색",
  undo: "되돌리기",
  clear: "모두 지우기",
  penDown: "펜을 내렸습니다",
  penUp: "펜을 들었습니다",
  cleared: "그림을 모두 지웠습니다",

  video: "카메라에 보이는 모습",
  shoot: "사진 찍기",
  cameraStarting: "카메라를 기다리는 중입니다. 브라우저가 허락을 물을 수 있습니다.",
  cameraRefused:
    "브라우저가 카메라를 허용하지 않았습니다. 주소창에서 허용하거나, 사진을 골라 주세요.",
  cameraMissing: "카메라를 찾지 못했습니다. 사진을 골라 주세요.",
  cameraInsecure:
    "브라우저는 이 컴퓨터에서 열었거나 HTTPS로 연 페이지에만 카메라를 허용합니다. 휴대전화의 카메라 앱으로는 찍을 수 있습니다.",
  cameraFile: "카메라 앱 열기",

  emptyHint: "사진을 주거나, 그리거나, 아래 예시를 눌러 보세요.",
  working: "보는 중입니다…",
  workingOn: (done, all) => `사진 ${all}장 가운데 ${done}번째를 보는 중입니다…`,
  saidMany: (pictures) => `사진 ${number(pictures)}장을 분류했습니다.`,
  better: (dark) =>
    dark
      ? "단순한 바탕에 물건 하나가 꽉 찬 사진이 가장 좋습니다."
      : "학습에 쓴 것과 비슷하고, 대상이 가운데에 크게 나온 사진이 가장 좋습니다.",
  seen: (width, height, grey) =>
    `모델이 본 모습: ${grey ? "흑백 " : ""}${width}\u00a0×\u00a0${height}\u00a0픽셀`,
  whyWorking: (share) => `사진을 조금씩 가려 보는 중입니다… ${Math.round(share * 100)}%`,
  whyWords: (label, before, after, place) =>
    `${label}의 가장 큰 근거는 ${place}에 있습니다. 그곳을 가리면 확률이 ${before}에서 ${after}로 바뀝니다.`,
  whyNothing: (label) =>
    `특별히 중요한 부분이 없습니다. 어디를 가려도 ${label}의 확률이 거의 그대로입니다.`,
  places: [
    ["왼쪽 위", "위쪽", "오른쪽 위"],
    ["왼쪽", "가운데", "오른쪽"],
    ["왼쪽 아래", "아래쪽", "오른쪽 아래"],
  ],

  examplesHint: "시험용 데이터에서 종류마다 한 장씩 골랐습니다. 모델이 학습할 때 보지 못한 사진입니다.",

  privacyServer: "사진은 이 페이지를 보낸 서버로만 갑니다.",
  privacyBrowser: "모델이 브라우저 안에서 돌아갑니다. 사진은 이 기기를 떠나지 않습니다.",

  problems: {
    busy: ({ seconds }) => [
      "서버가 바쁩니다.",
      seconds
        ? `기다리는 사진이 너무 많습니다. ${number(seconds)}초 뒤에 다시 시도해 주세요.`
        : "켜지는 중이거나 꺼지는 중이거나, 기다리는 사진이 너무 많습니다. 잠시 뒤에 다시 시도해 주세요.",
    ],
    large: ({ max_body_bytes: bytes, max_pixels: pixels }) => [
      "서버가 받기에는 사진이 너무 큽니다.",
      bytes
        ? `파일은 ${megabytes(bytes)}, 크기는 ${number(pixels / 1e4)}만 픽셀까지 받습니다. 사진을 줄이거나 잘라 주세요.`
        : "사진을 줄이거나 잘라 주세요.",
    ],
    refused: () => [
      "서버가 사진으로 읽을 수 없는 파일입니다.",
      "PNG, JPEG, WebP, BMP, GIF, TIFF, PPM, AVIF를 읽습니다. 이 가운데 하나로 새로 저장해 주세요.",
    ],
    slow: () => ["사진이 너무 느리게 도착했습니다.", "다시 시도하거나 더 작은 사진을 골라 주세요."],
    undecodable: () => [
      "이 브라우저가 사진으로 읽을 수 없는 파일입니다.",
      "PNG, JPEG, WebP, BMP, GIF, AVIF 가운데 하나를 골라 주세요.",
    ],
    enormous: () => ["이 브라우저가 다루기에는 사진이 너무 큽니다.", "사진을 줄이거나 잘라 주세요."],
    nothing: () => ["사진이 들어 있지 않습니다.", "사진 파일을 고르거나, 끌어다 놓거나, 붙여 넣어 주세요."],
  },
};
