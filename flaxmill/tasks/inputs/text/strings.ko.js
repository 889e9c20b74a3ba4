// What the page says of texts, in Korean. Every key is in each file of strings.

const number = (value) => value.toLocaleString("ko");

export default {
  title: "모델에게 글을 보여 주세요",

  text: "글",
  invite: "글을 쓰거나 붙여 넣으세요. 쓰는 대로 답이 바뀝니다.",
  clear: "모두 지우기",
  cleared: "글을 모두 지웠습니다",

  emptyHint: "글을 쓰거나, 아래 예시를 눌러 보세요.",
  working: "읽는 중입니다…",
  workingOn: (done, all) => `글 ${all}개 가운데 ${done}번째를 읽는 중입니다…`,
  saidMany: (texts) => `글 ${number(texts)}개를 분류했습니다.`,
  better: "학습에 쓴 것과 비슷한 글이 가장 좋습니다.",
  seen: (tokens, unknown) =>
    `모델이 본 모습: 토큰 ${number(tokens)}개${unknown ? `, 그 가운데 ${number(unknown)}개는 모르는 것(□)` : ""}`,
  whyWorking: (share) => `토큰을 하나씩 빼 보는 중입니다… ${Math.round(share * 100)}%`,
  whyWords: (label, token, before, after) =>
    `‘${token}’이(가) 가장 중요합니다. 이것을 빼면 ${label}일 확률이 ${before}에서 ${after}(으)로 바뀝니다.`,
  whyNothing: (label) => `특별히 중요한 토큰이 없습니다. 어느 것을 빼도 ${label}일 확률이 거의 그대로입니다.`,

  examplesHint: "분류마다 하나씩, 시험용 자료에서 골랐습니다. 모델이 학습할 때 본 적이 없는 글입니다.",

  privacyServer: "글은 이 페이지를 보낸 서버로만 가고, 다른 곳으로는 가지 않습니다.",
  privacyBrowser: "모델이 브라우저 안에서 돌아가므로, 글이 이 기기를 떠나지 않습니다.",

  problems: {
    busy: ({ seconds }) => [
      "서버가 바쁩니다.",
      seconds
        ? `기다리는 글이 너무 많습니다. ${number(seconds)}초 뒤에 다시 해 보세요.`
        : "시작하거나 멈추는 중이거나, 기다리는 글이 너무 많습니다. 잠시 뒤에 다시 해 보세요.",
    ],
    large: () => ["글이 서버가 받기에 너무 깁니다.", "나누어서 주세요."],
    refused: () => ["서버가 이것을 글로 읽지 못했습니다.", "다시 써 주세요."],
    slow: () => ["글이 너무 느리게 도착했습니다.", "다시 하거나, 더 짧은 글을 주세요."],
    nothing: () => ["그 안에 글이 없습니다.", "글을 쓰거나, 예시를 고르세요."],
  },
};
