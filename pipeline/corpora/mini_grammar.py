"""The prompts of the embedded corpus: a small grammar over everyday words.

A rule is a name and its alternatives; `<name>` in an alternative is replaced by an alternative
of that rule. The alternatives of a rule are drawn like cards from a shuffled deck, so that even
the rare sounds (ZH in `measure`, OY in `boy`, UH in `book`) come up often and evenly.
"""

import random
import re
from collections.abc import Mapping

from features.errors import ConfigError, counted

_SLOT = re.compile(r"<(\w+)>")
_ARTICLE = re.compile(
    r"\b([Aa]) (?=[aeiou])(?!use|usual|uni|one|eu)|\b([Aa]) (?=hour|honest)"
)
_MOST_TRIES = 50  # draws without a new sentence before the grammar counts as exhausted


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(phrase.strip() for phrase in text.split("/"))


RULES: Mapping[str, tuple[str, ...]] = {
    "sentence": _phrases(
        """<statement>. / <statement>. / <statement>. / <when>, <statement>. / <question>?
        / <order>. / <statement>, <link> <statement>. / <number_line>. / <feeling>."""
    ),
    "statement": _phrases(
        """<who> <did> <what> / <who> <did> <what> <where> / <who> <gave> <person> <what>
        / <what> was <where> / <the_person> was <state>
        / <animals> were <doing> <where>
        / <people> <went> <where> / the <dish> <tasted> <flavour>
        / <who> <thought> <what> was <quality>
        / there were <number> <plural> <where> / <pronoun> could <do> <what>
        / <pronoun> would rather <do> <what> than <do> <what> / the <animal> <moved> <where>
        / <name> <likes> <food> with <food> / our <kin> <did> <what> for <name>"""
    ),
    "question": _phrases(
        """did <who> <do> <what> / could you <do> <what> / where is <what>
        / why did <people> <go> <where> / have you ever seen <animals> <where>
        / should <who> <do> <what> <time> / who <did> <what> / is <what> <quality> enough
        / how much does the <dish> cost / which <thing> is <quality>"""
    ),
    "order": _phrases(
        """please <do> <what> / please <do> <what> <where> / do not <do> <what>
        / let us <go> <where> <time> / put <what> <where> / look at <what>
        / never <do> <what> without the <person> / bring <number> <plural> and <food>"""
    ),
    "feeling": _phrases(
        """it is <feeling_word> to <do> <what> / <name> was <emotion> about <what>
        / <what> is <quality>, but <what> is <quality> / what <a_quality> <thing>
        / <who> spoke in a <voice> voice / we heard the <sound> of <what>
        / it was a <weather> <day>"""
    ),
    "number_line": _phrases(
        """the <vehicle> leaves at <hour> <minute> / <name> lives at <number> <street>
        / <number> and <number> are more than <digit> / it costs <number> <coin>
        / her number is <digit>, <digit>, <digit>, <digit> / <name> is <number> years old
        / <day> is the <ordinal> of <month> / the <thing> is <number> feet long"""
    ),
    "when": _phrases(
        """in the <daypart> / on <day> / after <meal> / last <season> / <time>
        / when the <weather> weather came / before the <vehicle> left / at half past <hour>
        / as usual / early in <month> / while the <animal> was asleep / thank you"""
    ),
    "link": _phrases("but / and / so / because / though / yet"),
    "who": _phrases(
        "<the_person> / <name> / <name> / <pronoun> / my <kin> / her <kin>"
    ),
    "the_person": _phrases(
        "the <person> / the <age> <person> / a <person> / the <person> / my <kin> / this <person>"
    ),
    "people": _phrases(
        "the <persons> / <number> <persons> / <name> and <name> / your <kin> and <name> / they / we"
    ),
    "pronoun": _words("he she we they you I nobody somebody everyone"),
    "what": _phrases(
        """the <thing> / a <thing> / the <quality> <thing> / a <colour> <thing>
        / the <colour> <thing> / his <thing> / their <quality> <thing>
        / this <material> <thing> / <a_quality> <thing>
        / that <thing> / your <colour> <thing> / another <thing> / some <food> / our <thing>"""
    ),
    "a_quality": _phrases(
        "a <quality> / a very <quality> / a rather <quality> / such a <quality>"
    ),
    "person": _words(
        """teacher doctor farmer judge boy girl child woman man nurse driver cook king soldier
        neighbour stranger sailor lawyer engineer musician baker painter guard butcher pilot
        shepherd student tourist author plumber chief youth employer cashier watchman magician"""
    ),
    "persons": _words(
        """children women teachers boys girls judges cooks sailors farmers nurses soldiers
        students visitors thieves players neighbours tourists drivers friends brothers"""
    ),
    "age": _words(
        "young old tall thin wise proud royal cheerful weary loyal shy rude third"
    ),
    "name": _words(
        """George Joyce Ruth Keith Roy Asia Charlie Sheila Thomas Judy Arthur Beth Howard Hugh
        Shirley Jean Faith Eugene Louise Zoe Paul Floyd Vera Yvonne Chuck Nathan Heather Ralph
        Janet Owen Gail Troy Edith Oscar Walter Sarah Brooke Pierre Luke"""
    ),
    "kin": _words(
        "mother father brother sister cousin uncle aunt daughter son nephew wife husband"
    ),
    "animal": _words(
        """dog cat horse sheep goose fox mouse bear zebra giraffe tiger moth chicken
        monkey rabbit turtle puppy spider frog hawk owl whale shark oyster wolf bull deer cow"""
    ),
    "animals": _phrases(
        """the dogs / the birds / two horses / three foxes / the sheep / wild geese / some fish
        / the chickens / the bees / thirty cows / the wolves / a few bears / the mice / zebras"""
    ),
    "thing": _words(
        """book box chair table letter picture treasure television coin toy watch
        shoe boat bottle brush basket jacket cushion hook cloth feather zipper
        pillow engine wheel jewel shovel thread hammer mirror ladder purse shirt towel
        badge flower tape-measure collage pen cup bag map hat bed fork stove knife loaf
        beard-comb card board door horn glove bush camera piano machine uniform beige-coat
        invoice lamp drum kite rope ring corsage earring flag poem joystick sofa ear-phone
        bathrobe candle scarf saw wool-cap hood fishing-rod sword tour-guide"""
    ),
    "plural": _words(
        """books chairs boxes watches bridges toys coins clouds leaves shoes houses brushes
        letters pictures measures roads trees cushions bottles oranges voices garages gloves
        wheels jewels paths earrings doors cards shirts decisions feathers yards cups keys"""
    ),
    "food": _words(
        """bread butter cheese soup rice fish chicken sugar pudding orange-juice oil coffee milk
        tea honey salad beef pie jam cherries peaches yogurt porridge garlic mushrooms
        veal noodles carrots spinach oysters broth cake bananas walnuts ginger pears potatoes"""
    ),
    "dish": _words(
        """bread butter cheese soup rice fish chicken pudding orange-juice oil coffee milk tea
        honey salad beef pie jam yogurt porridge broth cake veal ginger oyster carrot pear"""
    ),
    "colour": _words(
        "red blue green yellow orange purple brown beige white black grey rose"
    ),
    "material": _words("wooden woollen golden leather paper silver plastic marble"),
    "quality": _words(
        """good full large small heavy old new broken usual unusual beautiful cheap huge rough
        smooth empty useful noisy moist ugly lovely strange thick warm loud genuine
        precious dusty charming bulky shallow narrow poor pure sour rare fair dark sharp
        royal foolish simple rusty clean casual exclusive ancient oily worthy enjoyable"""
    ),
    "did": _phrases(
        """found / took / bought / measured / watched / washed / dropped / moved / painted / shook
        / pushed / pulled / enjoyed / destroyed / chose / threw / fixed / borrowed / carried / lost
        / sold / used / joined / noticed / opened / closed / ignored / hid / caught / loved
        / forgot / praised / treasured / pointed at / looked for / thought about / asked for
        / paid for / showed us / voted for / stood behind / heard / cleared / shared / tore"""
    ),
    "do": _phrases(
        """find / take / buy / measure / watch / wash / drop / move / paint / shake / push / pull
        / enjoy / avoid / choose / throw / fix / borrow / carry / lose / sell / use / join
        / notice / open / close / hide / catch / forget / point at / look for / think about
        / ask for / pay for / cook / boil / change / reach / bathe / judge / wear / share / hear"""
    ),
    "gave": _phrases(
        "gave the / showed every / sent the / sold each / brought the / owed the"
    ),
    "thought": _phrases(
        "thought / knew / said / believed / hoped / was sure / understood that"
    ),
    "likes": _phrases(
        "likes / enjoys / cooks / always orders / would choose / should try"
    ),
    "went": _phrases(
        """went / walked / ran / drove / hurried / travelled / stayed / worked / waited / rushed
        / stood / danced / looked / jumped / voyaged / marched / lived / met / argued / laughed"""
    ),
    "go": _words(
        "go walk run drive hurry travel stay work wait rush stand look jump live meet"
    ),
    "moved": _words(
        "slept hid ran jumped crawled swam stood ate howled leapt growled vanished barked"
    ),
    "doing": _words(
        "sleeping eating running hiding singing jumping resting playing fighting waiting"
    ),
    "where": _phrases(
        """near the <place> / behind the <place> / in the <place> / by the <place>
        / under the <thing>
        / on the <place> / above the <place> / beyond the <place> / in front of the <place>
        / next to the <thing> / around the <place> / outside / upstairs / over there
        / towards the <place> / through the <place> / here / at the <place>"""
    ),
    "place": _words(
        """house church school river beach garden forest bridge kitchen garage office mountain
        village market station lake harbour castle valley library hospital bush brook
        yard field cottage jungle road square shore south north earth path farm park
        woods town pool cellar store tower azure-sea zoo island airport college"""
    ),
    "state": _phrases(
        """at home / busy / very sleepy / happy / annoyed / full of joy / on leave / ill
        / half asleep
        / asleep / hungry / rather cold / wrong / out of breath / good at music / angry / unsure
        / in good health / serious / not there / at leisure / too young / under pressure"""
    ),
    "tasted": _words("tasted smelled looked seemed was became stayed"),
    "flavour": _words(
        "good sweet sour fresh bitter salty awful delicious strange spoiled mild rich"
    ),
    "emotion": _words(
        "happy sad angry worried glad cautious annoyed sure overjoyed anxious"
    ),
    "feeling_word": _words(
        "good hard easy wise a-pleasure usual unusual fun foolish better dangerous"
    ),
    "voice": _words(
        "loud soft deep hoarse low clear cheerful harsh gentle weak pure calm thin"
    ),
    "sound": _words("noise sound voice echo music crash whisper roar song"),
    "weather": _words(
        "cold warm cloudy rainy windy stormy foggy sunny usual awful mild rough fair"
    ),
    "time": _phrases(
        """today / tomorrow / tonight / right now / next week / this year / every <day> / soon
        / at noon / each <daypart> / once a month / twice a year / in an hour / all year"""
    ),
    "daypart": _words("morning evening afternoon night"),
    "day": _words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday"),
    "month": _words(
        "January February March April May June July August September October November"
    ),
    "season": _words("spring summer autumn winter year Thursday month week"),
    "meal": _words("breakfast lunch dinner supper church school work college the-show"),
    "vehicle": _words("train bus boat plane ship ferry coach truck"),
    "street": _phrases(
        "Church Street / River Road / George Street / South Avenue / Beach Drive"
    ),
    "coin": _words("dollars pounds cents euros pennies"),
    "digit": _words("zero one two three four five six seven eight nine"),
    "hour": _words("one two three four five six seven eight nine ten eleven twelve"),
    "minute": _words("fifteen twenty thirty forty fifty ten"),
    "number": _phrases(
        """two / three / four / five / six / seven / eight / nine / ten / eleven / twelve / thirteen
        / fourteen / sixteen / eighteen / twenty <digit_low> / thirty <digit_low>
        / forty <digit_low>
        / fifty <digit_low> / sixty <digit_low> / seventy <digit_low> / eighty / a hundred"""
    ),
    "digit_low": _words("one two three four five six seven eight nine"),
    "ordinal": _words(
        "first second third fourth fifth sixth seventh eighth ninth tenth twelfth"
    ),
}


class Grammar:
    """Draws sentences; each rule's alternatives come from a deck that is reshuffled when empty."""

    def __init__(self, seed: int, rules: Mapping[str, tuple[str, ...]] = RULES) -> None:
        self._rules = rules
        self._random = random.Random(seed)
        self._decks: dict[str, list[str]] = {}

    def expand(self, rule: str) -> str:
        """Draws one expansion of a rule, all slots filled."""
        deck = self._decks.setdefault(rule, [])
        if not deck:
            deck.extend(self._rules[rule])
            self._random.shuffle(deck)
        drawn = deck.pop()
        return _SLOT.sub(lambda slot: self.expand(slot[1]), drawn)

    def sentence(self) -> str:
        """Draws one sentence with capital, articles and end mark right."""
        text = self.expand("sentence").replace("-", " ")
        text = _ARTICLE.sub(lambda match: f"{match[1] or match[2]}n ", text)
        return text[0].upper() + text[1:]


def draw_sentences(
    count: int, *, seed: int, rules: Mapping[str, tuple[str, ...]] = RULES
) -> list[str]:
    """Draws different sentences.

    Args:
        count: how many, >= 0.
        seed: the same seed gives the same sentences in the same order.
        rules: the grammar.

    Returns:
        `count` sentences, no two with the same words.

    Raises:
        ConfigError: the grammar has not that many different sentences.
    """
    grammar = Grammar(seed, rules)
    found: dict[tuple[str, ...], str] = {}
    tries = 0
    while len(found) < count:
        sentence = grammar.sentence()
        known = len(found)
        found.setdefault(words_of(sentence), sentence)
        tries = tries + 1 if len(found) == known else 0
        if tries > _MOST_TRIES:
            raise ConfigError(
                f"the mini grammar gave only {counted(known, 'different sentence')}, {count} "
                "were asked for; "
                "ask for fewer, or add words to pipeline/corpora/mini_grammar.py"
            )
    return list(found.values())


def words_of(sentence: str) -> tuple[str, ...]:
    """The words of a sentence in lower case, without punctuation."""
    return tuple(re.findall(r"[a-z']+", sentence.lower()))
