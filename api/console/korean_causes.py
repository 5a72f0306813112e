"""The Korean of the causes of what was given up, with what to do about each, and of acts on it."""

from __future__ import annotations

KOREAN_CAUSES: dict[str, str] = {
    # the list
    "Edited": "수정 여부",
    "yes": "예",
    "no": "아니요",
    "Edited at {time} UTC, and not replayed yet: {count}.": "{time} UTC에 수정되어 아직 다시 처리되지 않은 것: {count}개.",
    "Dry run of what was edited, then replay": "수정한 것을 시험 후 다시 처리",
    "Of what was edited at {time} UTC nothing waits any more.": "{time} UTC에 수정한 것 중 기다리는 것이 더 없습니다.",
    "What was discarded, by whom and why, stands in the audit:": "무엇을 누가 왜 폐기했는지는 감사 기록에 있습니다:",
    "To act on all that fit, narrow the list first: by a cause's number, or a condition above.":
        "해당하는 모두를 처리하려면 먼저 원인의 개수를 누르거나 위의 조건으로 목록을 좁히세요.",
    "all that fit, also beyond these {count}": "여기 나온 {count}개를 넘어 해당하는 모두",
    "An act on all that fit may touch more than the {count} counted here: it looks at all that was given up, however old. "
    "Its preview tells the true number.":
        "해당하는 모두를 처리하면 여기 센 {count}개보다 많을 수 있습니다. 오래된 것까지 포기된 것 전체를 살펴보기 때문입니다. 정확한 수는 미리보기에 나옵니다.",
    "Tick some of the list below, or narrow it first and act on all that fit. Nothing was changed.":
        "아래 목록에서 선택하거나, 먼저 조건으로 좁힌 뒤 해당하는 모두를 처리하세요. 아무것도 바뀌지 않았습니다.",
    "What was given up last comes first.": "마지막에 포기된 것이 먼저 나옵니다.",
    "All of this cause": "같은 원인의 목록",
    # an edit
    "Or the place where its value stands now, under a wrong name": "또는 잘못된 이름으로 값이 있는 위치",
    "Such as:": "예:",
    "Mend the edit above, or edit only those that fit.": "위의 수정을 고치거나, 맞는 것만 수정하세요.",
    "Edit only the {count} that fit": "맞는 {count}개만 수정",
    "and {count} more that fit": "맞는 것 외 {count}개",
    "further causes: {count}": "그 밖의 원인: {count}개",
    "Chosen by:": "고른 조건:",
    "Nothing of it waits any more: it was replayed or discarded meanwhile.":
        "그사이에 다시 처리되거나 폐기되어 기다리는 것이 더 없습니다.",
    "The first of them, place by place": "첫 번째 이벤트의 위치별 값",
    "kept among personal data, and not shown": "개인정보로 보관되며 표시하지 않음",
    # a dry run
    "Edit these, before a replay": "다시 처리하기 전에 수정",
    "Begin it all the same": "그래도 시작",
    "at once, in all": "바로 나가는 합계",
    "of them once a person lets them go, or an account is told": "그중 사람이 내보내거나 계좌를 알려야 나가는 합계",
    "Every one of them would be given up again: mend the cause first.": "모두 다시 포기됩니다. 먼저 원인을 고치세요.",
    "{faults} of {count} would be given up again.": "{count}개 중 {faults}개가 다시 포기됩니다.",
    "{faults} of the {count} events that were tried would be given up again.": "시험한 이벤트 {count}개 중 {faults}개가 다시 포기됩니다.",
    "{count} of {total} refunds would be given up at once, as nobody makes them here.":
        "환불 {total}건 중 {count}건은 여기서 환불할 곳이 없어 바로 포기됩니다.",
    "refunds that cannot go out: nobody gives back here what {provider} took":
        "나갈 수 없는 환불: {provider}가 받은 돈을 여기서 환불할 곳이 없음",
    "refunds that cannot go out: a person noted the payment, and no provider took it":
        "나갈 수 없는 환불: 사람이 기록한 결제로, 받은 결제사가 없음",
    "refunds that cannot go out: the payment names no provider, and several could have taken it":
        "나갈 수 없는 환불: 결제에 결제사 이름이 없고, 받았을 수 있는 곳이 여럿임",
    "refunds that stay due until what {provider} needs is set; `orders doctor` says what":
        "{provider} 설정이 갖춰질 때까지 기다리는 환불. 필요한 것은 `orders doctor`가 알려줌",
    "It would be given up again:": "다시 포기됩니다:",
    "Orders that change": "바뀌는 주문",
    "fields of it and its parts": "주문과 그 부분의 필드",
    "{count} fields": "필드 {count}개",
    "Refunds that go out": "나가는 환불",
    # causes of events
    "the body does not fit its type": "내용이 종류와 맞지 않음",
    "edit the field that the detail names, then replay": "자세히에 나온 필드를 고친 뒤 다시 처리하세요",
    "a newer version than this release reads": "이 버전이 읽지 못하는 새 형식",
    "upgrade to the release that reads the version, then replay": "그 형식을 읽는 버전으로 업그레이드한 뒤 다시 처리하세요",
    "money of another currency than the order's": "주문과 다른 통화의 금액",
    "edit the event where it is wrong, then replay; else refund at the provider":
        "이벤트가 틀렸으면 고친 뒤 다시 처리하고, 아니면 결제사에서 환불하세요",
    "another order has this number": "다른 주문과 번호가 겹침",
    "give the event a number of its own (edit its subject), then replay": "이벤트에 고유한 번호를 주고(subject 수정) 다시 처리하세요",
    "this payment belongs to another order": "다른 주문의 결제임",
    "correct the order's number or the payment, then replay": "주문 번호나 결제를 고친 뒤 다시 처리하세요",
    "names an item that the order does not have": "주문에 없는 상품임",
    "edit the item's name, then replay": "상품 이름을 고친 뒤 다시 처리하세요",
    "asks for more of an item than was ordered and not canceled": "주문한 수량보다 많음",
    "edit the quantities, then replay": "수량을 고친 뒤 다시 처리하세요",
    "its time was more than three days ahead when it was received": "받았을 때 시각이 사흘 넘게 앞서 있었음",
    "correct the sender's clock, and replay once its time is within three days, or discard it":
        "보낸 쪽 시계를 고치고, 시각이 사흘 안에 들면 다시 처리하거나 폐기하세요",
    "nothing made it applicable in time": "기한 안에 적용되지 못함",
    "replay it once its cause has come, or discard it": "원인이 온 뒤 다시 처리하거나 폐기하세요",
    "our own code failed on it": "프로그램 오류",
    "report the detail, upgrade, run `orders preflight`, then replay":
        "자세히를 알리고 업그레이드한 뒤 `orders preflight`를 실행하고 다시 처리하세요",
    "the database refuses its values": "데이터베이스가 값을 거부함",
    "edit the value that the detail names, then replay": "자세히에 나온 값을 고친 뒤 다시 처리하세요",
    # causes of refunds
    "the provider refuses the refund for good; the detail has its words": "결제사가 환불을 완전히 거절함 (자세히에 사유)",
    "mend at the provider what it names, then replay; or pay by another way and settle it, which closes it: never both":
        "결제사에서 해당 문제를 고친 뒤 다시 처리하거나, 다른 방법으로 돌려주고 정산하세요(그러면 끝남). 둘 다 하지는 마세요",
    "the provider could not be asked, or gave no usable answer, too often": "결제사에 묻지 못했거나 쓸 수 있는 답이 없었음",
    "look at the provider's status and at its key here, then replay": "결제사의 상태와 여기 설정된 키를 확인한 뒤 다시 처리하세요",
    "somebody else refunds this payment too, or ours stays open for a month":
        "다른 곳에서도 이 결제를 환불하거나, 우리 환불이 한 달째 끝나지 않음",
    "look at the provider's books; replay asks it before anything goes out":
        "결제사의 내역을 확인하세요. 다시 처리하면 내보내기 전에 먼저 묻습니다",
    "the refund had gone out and failed at the provider afterwards": "환불이 나간 뒤 결제사에서 실패함",
    "see at the provider why; then replay, or pay by another way and settle it, which closes it: never both":
        "결제사에서 사유를 확인한 뒤 다시 처리하거나, 다른 방법으로 돌려주고 정산하세요(그러면 끝남). 둘 다 하지는 마세요",
    "nobody gives back here what that provider took": "그 결제사가 받은 돈을 여기서 돌려주는 곳이 없음",
    "name a service that does (ORDERS_REFUND_URL), then replay; or refund by hand and settle it, which closes it: never both":
        "환불할 서비스를 지정한 뒤(ORDERS_REFUND_URL) 다시 처리하거나, 직접 돌려주고 정산하세요(그러면 끝남). 둘 다 하지는 마세요",
    # causes of payment look-ups
    "the provider gave no answer for as long as a look-up may wait": "조회 기한 안에 결제사의 답이 없었음",
    "look at the provider's status and at its key here, then replay: it is asked again":
        "결제사의 상태와 여기 설정된 키를 확인한 뒤 다시 처리하세요. 다시 묻습니다",
    "the provider knows nothing of the payment that its webhook named": "웹훅이 말한 결제를 결제사가 모름",
    "compare the key with the shop that the webhook is of, then replay; discard what was made up":
        "키가 웹훅을 보낸 상점의 것인지 확인한 뒤 다시 처리하고, 꾸며 낸 것은 폐기하세요",
    "the provider's answer made no event that can be kept": "결제사의 답으로 보관할 이벤트를 만들 수 없음",
    "report the detail; upgrade, then replay": "자세히를 알리고 업그레이드한 뒤 다시 처리하세요",
    "the payment is known there, and its order never came here": "결제사에는 결제가 있으나 주문이 오지 않음",
    "send the order's OrderCreated, then replay; discard what is another shop's":
        "주문의 OrderCreated를 보낸 뒤 다시 처리하고, 다른 상점의 것은 폐기하세요",
    "given up by a release that did not note why; the detail has its words": "사유를 남기지 않던 버전이 포기함 (자세히에 내용)",
    "do as the detail says, then replay": "자세히에 나온 대로 한 뒤 다시 처리하세요",
    # causes of deliveries
    "the receiver answered otherwise than 2xx for three days": "받는 쪽이 사흘 동안 2xx가 아닌 답을 함",
    "have the receiver mended, then replay: it goes out under the same id":
        "받는 쪽을 고친 뒤 다시 처리하세요. 같은 ID로 나갑니다",
    "the receiver could not be reached, or did not answer in time, for three days": "받는 쪽에 사흘 동안 닿지 못했거나 답이 늦음",
    "check its address (`orders webhooks list`), then replay": "주소를 확인한 뒤(`orders webhooks list`) 다시 처리하세요",
    "the receiver answered 410: it wants no more of this subscription": "받는 쪽이 410으로 답함: 이 구독을 더 원하지 않음",
    "ask whoever runs it; enable the subscription again, then replay, or discard":
        "운영자에게 묻고, 구독을 다시 켠 뒤 다시 처리하거나 폐기하세요",
}  # fmt: skip
