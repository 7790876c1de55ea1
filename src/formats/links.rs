//! Finds the links that X will replace by its own, with or without `http://` before them. What counts as one is
//! decided by the domain's ending; endings are matched by a rule of our own (country codes, the generic
//! endings in wide use, any ending after a written scheme) rather than by the registry's list.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// ISO 3166 country codes that are domain endings, and `eu`, `su`, `uk`, `ac`.
const COUNTRIES: &str = "ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bv bw by bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gb gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sj sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw";

/// Generic endings in wide use.
const GENERIC: &str = "com net org edu gov mil int info biz name pro aero coop museum jobs mobi travel tel cat asia post xxx arpa app dev page blog shop store online site website web tech technology cloud host hosting space world news media press email chat social network agency company business digital design studio art music film movie video photo photos photography gallery events live tv show games game play fun cool club team group community center centre city town house land estate homes rent apartments hotel restaurant cafe bar pub pizza coffee kitchen recipes beer wine vip life love family kids baby dating wedding health healthcare care clinic dental doctor hospital fitness yoga run bike surf ski golf football soccer racing car cars auto bank finance financial fund money cash credit loan loans insurance tax accountant accountants capital ventures partners holdings investments exchange trade trading market markets marketing sale sales deals discount discounts bargains coupons gifts gift shopping fashion clothing shoes jewelry watch style beauty hair salon spa support help guide guru academy school college university education institute training courses study science engineering engineer systems solutions software codes computer digital download report reports review reviews wiki zone today top best one global international foundation charity church faith bible christmas green earth eco energy solar farm garden flowers pet dog fish horse camp cruises flights voyage tours vacations holiday viajes villas construction contractors build builders plumbing tools parts supply supplies industries delivery express services service consulting management careers work works law legal lawyer attorney limited inc llc ltd gmbh directory domains link links click xyz icu buzz monster rocks ninja expert tips how lol wtf fail gripe sucks sexy sex porn adult cam ooo moe dad mom boo foo new day zip mov bot meme google youtube gle goo amazon aws microsoft apple android ibm sap audi bmw nike canon sony toyota berlin hamburg koeln london paris nyc vegas miami boston tokyo osaka kyoto nagoya amsterdam brussels vlaanderen wien zuerich swiss africa scot wales cymru irish bzh eus gal quebec lat uno ngo ong bio vet krd moscow tatar istanbul sydney melbourne dubai sarl ruhr saarland bayern plus red blue pink black gold diamonds pictures pics graphics audio radio fm band theater theatre dance ticket tickets party poker casino bet bingo lotto toys hiphop";

#[expect(clippy::expect_used, reason = "the pattern is constant and compiled by a test")]
static PATH: LazyLock<Regex> = LazyLock::new(|| {
    let plain = r"[a-zA-Z0-9\p{Cyrillic}À-ɏ!*';:=+,.$/%#\[\]\-–_~@|&]";
    let pattern = format!(r"^/(?:{plain}|\((?:{plain}|\({plain}+\))+\))*");
    Regex::new(&pattern).expect("a constant pattern")
});

#[expect(clippy::expect_used, reason = "the pattern is constant and compiled by a test")]
static QUERY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\?[a-zA-Z0-9!?*'();:&=+$/%#\[\]\-_.,~|@]*").expect("a constant pattern"));

static ENDINGS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| COUNTRIES.split(' ').chain(GENERIC.split(' ')).collect());

/// The byte ranges of the links of a text, in order.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    // Every link has a dot within its domain.
    if !text.contains('.') {
        return found;
    }
    let mut before = None;
    let mut skip = 0;
    for (start, character) in text.char_indices() {
        if start >= skip && character.is_alphanumeric() && may_follow(before) {
            let rest = text.get(start..).unwrap_or_default();
            let length = match scheme(rest) {
                Some(scheme) => link(rest, scheme, true),
                None if !matches!(before, Some('-' | '_' | '.' | '/')) => link(rest, 0, false),
                None => None,
            };
            if let Some(length) = length {
                found.push(start..start + length);
                skip = start + length;
            }
        }
        before = Some(character);
    }
    found
}

/// A link never begins within a word, a mention, a hashtag or a cashtag; scripts without spaces may precede it.
fn may_follow(before: Option<char>) -> bool {
    before.is_none_or(|c| {
        !(c.is_ascii_alphanumeric() || matches!(c, '@' | '＠' | '$' | '#' | '＃' | '\u{202A}'..='\u{202E}'))
    })
}

/// The bytes of `http://` or `https://` at the beginning.
fn scheme(text: &str) -> Option<usize> {
    ["http://", "https://"]
        .into_iter()
        .find(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
        .map(str::len)
}

/// The length of the link at the beginning of `text`, whose domain begins at byte `start`.
fn link(text: &str, start: usize, with_scheme: bool) -> Option<usize> {
    let rest = text.get(start..)?;
    let domain = domain(rest, with_scheme)?;
    let mut end = domain;
    end += port(rest.get(end..)?);
    let after = rest.get(end..)?;
    if rest.get(..domain)?.eq_ignore_ascii_case("t.co") && after.starts_with('/') {
        let slug = after[1..].bytes().take_while(u8::is_ascii_alphanumeric).count();
        // X's own links have at most 40 characters; what is longer is no link at all.
        if slug > 40 {
            return None;
        }
        end += 1 + slug;
    } else if let Some(path) = PATH.find(after) {
        end += ending(path.as_str(), |c| c.is_alphanumeric() || "=_#/+-)".contains(c)).max(1);
    }
    if let Some(query) = QUERY.find(rest.get(end..)?) {
        let length = ending(query.as_str(), |c| c.is_ascii_alphanumeric() || "-_&=#/".contains(c));
        if length > 1 {
            end += length;
        }
    }
    Some(start + end)
}

/// How much of a text remains when it has to end with certain characters.
fn ending(text: &str, may_end: impl Fn(char) -> bool) -> usize {
    text.char_indices().rev().find(|(_, c)| may_end(*c)).map_or(0, |(at, c)| at + c.len_utf8())
}

fn port(text: &str) -> usize {
    let digits = text.strip_prefix(':').map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    if digits == 0 { 0 } else { digits + 1 }
}

/// The length of the domain at the beginning: up to the last ending that is one.
fn domain(text: &str, with_scheme: bool) -> Option<usize> {
    let part = |c: char| {
        if with_scheme { is_domain_part(c) } else { is_plain_part(c) }
    };
    let length = text.find(|c: char| !part(c)).unwrap_or(text.len());
    let run = text.get(..length)?;
    let dots: Vec<usize> = run.match_indices('.').map(|(at, _)| at).collect();
    dots.into_iter().rev().find_map(|dot| {
        let label = run.get(dot + 1..)?;
        let letters = label
            .find(|c: char| !(c.is_ascii_alphanumeric() || (c == '-' && is_punycode(label))))
            .unwrap_or(label.len());
        let end = dot + 1 + letters;
        let bounded =
            !text.get(end..)?.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '@' | '+' | '-'));
        let is_ending = is_ending(label.get(..letters)?, with_scheme);
        (bounded && is_ending && are_labels(run.get(..dot)?) && is_host(run.get(..end)?)).then_some(end)
    })
}

fn is_domain_part(c: char) -> bool {
    let is_punctuation = c.is_ascii_punctuation()
        || matches!(c, '\u{2000}'..='\u{206F}' | '\u{3000}'..='\u{3003}' | '\u{FF00}'..='\u{FF0F}');
    matches!(c, '.' | '-' | '_') || !(is_punctuation || c.is_whitespace() || c.is_control())
}

fn is_plain_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | 'À'..='ɏ')
}

fn is_punycode(label: &str) -> bool {
    label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--"))
}

fn is_ending(label: &str, with_scheme: bool) -> bool {
    let lowered = label.to_ascii_lowercase();
    let is_word = lowered.len() >= 2 && lowered.bytes().all(|byte| byte.is_ascii_lowercase());
    ENDINGS.contains(lowered.as_str()) || (is_punycode(label) && label.len() > 4) || (with_scheme && is_word)
}

/// Labels begin and end with a letter or digit; the last one, the registered name, has no underscore.
fn are_labels(domain: &str) -> bool {
    let mut labels = domain.rsplit('.');
    let registered = labels.next().unwrap_or_default();
    let is_label = |label: &str| !label.is_empty() && !label.starts_with(['-', '_']) && !label.ends_with(['-', '_']);
    is_label(registered) && !registered.contains('_') && labels.all(is_label)
}

/// Whether a domain can be looked up: valid punycode, labels of at most 63 bytes (RFC 1035).
fn is_host(domain: &str) -> bool {
    match url::Url::parse(&format!("http://{domain}/")) {
        Ok(url) => {
            url.host_str().is_some_and(|host| host.len() <= 253 && host.split('.').all(|label| label.len() <= 63))
        }
        Err(_) => false,
    }
}
