// What the page says, in Korean. Every key is in each file of strings. What it says of the things
// that a person gives, their kind may say better.

const number = (value) => value.toLocaleString("ko");
const megabytes = (bytes) => `${(bytes / 2 ** 20).toLocaleString("ko", { maximumFractionDigits: 1 })}MB`;

export default {
  language: "한국어",
  skip: "결과로 바로 가기",
  title: "모델에게 물어보세요",
  darkMode: "어두운 화면",
  lightMode: "밝은 화면",
  switchLanguage: "언어",

  list: (names) => names.join(", "),
  loading: "모델을 불러오는 중입니다…",
  loadingHere: "모델을 브라우저로 불러오는 중입니다. 처음 한 번만 기다려 주세요…",
  noPanel: (takes, gives) =>
    `이 모델은 ${takes} 형식을 받아 ${gives} 형식으로 답합니다. 이 페이지에는 그것을 써 볼 곳이 없지만, 프로그램은 모델을 그대로 쓸 수 있습니다. 무엇을 받고 무엇을 주는지 적힌 파일:`,

  result: "결과",
  empty: "결과가 여기에 나타납니다.",
  emptyHint: "모델에게 무엇이든 주거나, 아래 예시를 눌러 보세요.",
  working: "답을 찾는 중입니다…",
  workingOn: (done, all) => `${all}개 가운데 ${done}번째의 답을 찾는 중입니다…`,
  saidMany: (answers) => `${number(answers)}개에 답했습니다.`,
  why: "무엇을 보고 답했나",
  whyHide: "근거 숨기기",
  whyWorking: (share) => `조금씩 빼 보는 중입니다… ${Math.round(share * 100)}%`,

  examples: "예시",
  examplesHint: "시험용 데이터에서 골랐습니다. 모델이 학습할 때 보지 못한 것들입니다.",
  example: (label) => `예시: ${label}`,
  history: "지금까지의 결과",
  historyHint: "이 탭에만 남습니다.",
  historyClear: "목록 비우기",
  historyItem: (name, answer) => `${name}: ${answer}`,

  token: "토큰",
  tokenHint: "이 서버는 토큰이 있어야 답합니다. 서버를 켠 사람에게 물어보세요. 토큰은 이 탭을 닫을 때까지만 보관합니다.",
  tokenKeep: "토큰 쓰기",
  again: "다시 시도",
  dismiss: "닫기",
  serverSaid: (said) => `서버의 답: ${said}`,

  privacyServer: "입력한 것은 이 페이지를 보낸 서버로만 갑니다.",
  privacyBrowser: "모델이 브라우저 안에서 돌아갑니다. 입력한 것은 이 기기를 떠나지 않습니다.",
  version: (name, version) => `${name}, 버전 ${version}`,
  weights: (digest) => `가중치 ${digest}`,
  licence: (licence) => `라이선스: ${licence}`,

  labels: {
    "T-shirt/top": "티셔츠·상의",
    Trouser: "바지",
    Pullover: "풀오버",
    Dress: "원피스",
    Coat: "코트",
    Sandal: "샌들",
    Shirt: "셔츠",
    Sneaker: "운동화",
    Bag: "가방",
    "Ankle boot": "앵클부츠",
  },

  problems: {
    gone: () => [
      "서버가 응답하지 않습니다.",
      "서버가 꺼졌거나 연결이 끊겼을 수 있습니다. flaxmill serve로 다시 켠 뒤 다시 시도해 주세요.",
    ],
    busy: ({ seconds }) => [
      "서버가 바쁩니다.",
      seconds
        ? `기다리는 요청이 너무 많습니다. ${number(seconds)}초 뒤에 다시 시도해 주세요.`
        : "켜지는 중이거나 꺼지는 중이거나, 기다리는 요청이 너무 많습니다. 잠시 뒤에 다시 시도해 주세요.",
    ],
    token: () => ["서버에 토큰이 필요합니다.", "위에 올바른 토큰을 넣고 다시 시도해 주세요."],
    large: ({ max_body_bytes: bytes }) => [
      "서버가 받기에는 너무 큽니다.",
      bytes ? `한 번에 ${megabytes(bytes)}까지 받습니다. 줄여서 다시 주세요.` : "줄여서 다시 주세요.",
    ],
    refused: () => ["서버가 읽을 수 없습니다.", "다른 것을 주세요."],
    slow: () => ["너무 느리게 도착했습니다.", "다시 시도하거나 줄여서 다시 주세요."],
    failed: ({ status }) => [
      `서버에서 오류가 났습니다(상태 ${status}).`,
      "다시 시도해 주세요. 계속되면 서버의 기록에서 까닭을 볼 수 있습니다.",
    ],
    unloaded: () => [
      "모델을 불러오지 못했습니다.",
      "이 폴더의 모든 파일이 웹 서버에 있는지 확인한 뒤 페이지를 새로 고쳐 주세요.",
    ],
    defect: () => ["페이지에 오류가 났습니다.", "새로 고쳐 주세요. 계속되면 알려 주시기 바랍니다."],
  },
};
