"""The Korean of what people did and of the record of it: pauses, the audit, replays and letters that are closed."""

from __future__ import annotations

KOREAN_AUDIT: dict[str, str] = {
    # pauses and audit
    "Pauses": "일시 정지",
    "Paused:": "일시 정지 중:",
    "Nothing is paused.": "일시 정지된 것이 없습니다.",
    "until": "까지:",
    "{count} events wait": "이벤트 {count}개 대기",
    "Resume": "재개",
    "Pause something": "일시 정지하기",
    "Kind": "종류",
    "Its name; none for all that goes outward": "이름 (외부로 나가는 모두이면 비움)",
    "Why, for those who look later": "사유 (나중에 볼 사람을 위해)",
    "Pause it": "일시 정지",
    "Audit": "감사 기록",
    "Who": "누가",
    "at (UTC)": "시각 (UTC)",
    "act": "한 일",
    "why": "사유",
    "before and after": "전과 후",
    "Who did what, and who looked at personal data, the newest first.": "누가 무엇을 했고 누가 개인정보를 보았는지, 최근 순.",
    "Act": "한 일",
    "Before (UTC)": "이 시각 이전 (UTC)",
    "This page looked at {count} acts, back to {at}; earlier ones may fit, too.":
        "이 페이지는 {at}까지의 기록 {count}개를 살펴보았습니다. 그 이전에도 해당하는 것이 있을 수 있습니다.",
    "To the newest": "최신으로",
    "Nobody did such a thing.": "그런 기록이 없습니다.",
    "paused": "정지됨",
    "resuming": "재개 중",
    "event_type": "이벤트 종류",
    "carrier": "택배사",
    "effect": "외부 호출",
    "subscription": "구독",
    "outward": "외부로 나가는 모두",
    "its events wait in the journal, its timers rest, and nothing of it goes outward; requests about it are refused":
        "이벤트가 저널에서 기다리고 타이머가 쉬며 아무것도 외부로 나가지 않음. 이에 관한 요청은 거절됨",
    "events of that type wait in the journal, and timers rest meanwhile": "그 종류의 이벤트가 저널에서 기다리고 타이머가 쉼",
    "nothing is asked of that payment provider or tracking service": "그 결제사나 추적 서비스에 아무것도 묻지 않음",
    "its parcels are not asked for": "그 택배사의 배송을 조회하지 않음",
    "calls of that kind rest: refunds, lookups, tracking, deliveries": "그 종류의 외부 호출이 쉼: refunds, lookups, tracking, deliveries",
    "it is sent nothing": "아무것도 보내지 않음",
    "nothing at all goes outward: no refund, look-up, comparison, poll or delivery":
        "환불, 조회, 대사, 추적, 전송 등 아무것도 외부로 나가지 않음",
    # replays, and letters that are closed
    "{count} were given up again: each takes a replay of its own once its cause is mended.":
        "{count}개가 다시 포기되었습니다. 원인을 고친 뒤 각각 새로 다시 처리해야 합니다.",
    "1 was given up again: it takes a replay of its own once its cause is mended.":
        "1개가 다시 포기되었습니다. 원인을 고친 뒤 새로 다시 처리해야 합니다.",
    "Refunds of these orders that were given up since: {count}": "그 뒤에 포기된 이 주문들의 환불: {count}건",
    "Its refund: try it again, or note that it was paid back by hand": "이 환불: 다시 시도하거나, 직접 환불했다고 기록",
    "Resumed, this one goes on with the rest.": "재개하면 나머지를 이어서 처리합니다.",
    "begun (UTC)": "시작 (UTC)",
    "ended (UTC)": "종료 (UTC)",
    "came to a stop (UTC)": "멈춘 시각 (UTC)",
    "What was done with it": "한 일의 기록",
    "It was replayed, and waits for nobody.": "다시 처리되었으며 아무도 기다리지 않습니다.",
    "It was discarded, and waits for nobody.": "폐기되었으며 아무도 기다리지 않습니다.",
    "What it came to:": "결과:",
    "It had been given up for:": "포기되었던 원인:",
}  # fmt: skip
