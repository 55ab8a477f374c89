"""Text in many scripts, and the characters that trip tokenizers up: what the tiny tokenizers learn and are tried on."""

SCRIPTS = {
    "Latin": "The little dog ran to the river, and the river ran to the sea. Où est le café? Straße, niño, žluťoučký.",
    "Cyrillic": "Маленькая собака бежит к реке, а река бежит к морю. Який гарний день сьогодні!",
    "Greek": "Ο μικρός σκύλος τρέχει στο ποτάμι και το ποτάμι τρέχει στη θάλασσα.",
    "Arabic": "الكلب الصغير يجري إلى النهر، والنهر يجري إلى البحر.",
    "Hebrew": "הכלב הקטן רץ אל הנהר, והנהר רץ אל הים. שָׁלוֹם",
    "Devanagari": "छोटा कुत्ता नदी की ओर दौड़ता है, और नदी समुद्र की ओर दौड़ती है।",
    "Thai": "สุนัขตัวเล็กวิ่งไปที่แม่น้ำ และแม่น้ำก็ไหลไปสู่ทะเล",
    "Chinese": "小狗跑到河边，河水流向大海。今天天气很好。",
    "Japanese": "小さな犬は川へ走り、川は海へ流れる。カタカナもあります。",
    "Korean": "작은 개가 강으로 달려가고 강은 바다로 흘러간다.",
    "Georgian": "პატარა ძაღლი მდინარისკენ გარბის, მდინარე კი ზღვისკენ.",
    "Amharic": "ትንሹ ውሻ ወደ ወንዙ ይሮጣል፣ ወንዙም ወደ ባሕር ይፈሳል።",
    "Armenian": "Փոքրիկ շունը վազում է դեպի գետը, գետը՝ դեպի ծով։",
    "Tamil": "சின்ன நாய் ஆற்றுக்கு ஓடுகிறது, ஆறு கடலுக்கு ஓடுகிறது.",
}

EMOJI = "👩‍👩‍👧‍👦 👍🏽 🏳️‍🌈 🇬🇪 ❤️‍🔥 👩🏿‍🚀 1️⃣"
CONTROLS = (
    "".join(map(chr, [*range(0x20), 0x7F, *range(0x80, 0xA0)])) + "\u00a0\u200b\u200d\u2028\u2029\ufeff\ufffd\uffff"
)
CODE = "def f(x):\n    return {\"a\": [1, 2.5e-3], 'b': x != 0}  # tabs\there\r\n\n\n<b>&amp;</b> don't, can't ."

CORPUS = [*SCRIPTS.values(), EMOJI, CODE]

DIGITS = "x =  5; y = 3.14159, 1,000,000 + 2024-11-28 = ½ ² Ⅻ ٣٤٥ １２３   7"
BLANKS = "  two, \ttab,   three,\u00a0no-break,\u3000wide\n\n \r\n    indented  \n"
COMBINING = "e\u0301 é n\u0303 Å A\u030a ẛ\u0323 q\u0307\u0323 한 \u1112\u1161\u11ab שָׁ ﬁ Ω Ω"
MARKS = "<|im_start|>user\n<s>[INST] <bos>Hi</s><|endoftext|> <|eot_id|><unk><pad>[CLS]<start_of_turn><|end|>"
LONG_WORDS = "Donaudampfschifffahrtsgesellschaft antidisestablishmentarianism aaaaaaaaaaaaaaaa ====== !!!???"
MARKUP = '# Title\n\n* [link](https://example.org/?q=a%20b&c=1) `code` **bold**\n| a | b |\n<td class="x">&nbsp;</td>'
QUOTES = "“Well,” she said—‘it’s 5 o’clock’… don't I'LL we've\u2009«là»"

TEXTS = [*SCRIPTS.values(), EMOJI, CONTROLS, CODE, DIGITS, BLANKS, COMBINING, MARKS, LONG_WORDS, MARKUP, QUOTES]
