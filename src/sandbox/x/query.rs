//! X's search language: words, quoted phrases, operators, `OR`, negation and groups. A blank is AND, which
//! binds tighter than OR. What X refuses is refused: unknown operators, unbalanced groups, and queries whose
//! operators may not stand alone.

use super::condition::{self, Test};
use super::store::Tweet;

/// A parsed query.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query(Node);

#[derive(Debug, PartialEq, Eq)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Is(Test),
}

/// Why a query was refused, with the position (from 1) that X names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub reason: String,
    pub position: usize,
}

#[derive(Debug, PartialEq)]
enum Token<'a> {
    Open,
    Close,
    Or,
    Minus,
    Term { operator: Option<&'a str>, value: &'a str, quoted: bool },
}

impl Query {
    pub fn parse(text: &str) -> Result<Query, Refused> {
        let mut parser = Parser { tokens: tokens(text)?, next: 0, length: text.chars().count() };
        let node = parser.any()?;
        if parser.next < parser.tokens.len() {
            return Err(parser.refuse("mismatched input ')'"));
        }
        if !node.stands_alone() {
            let reason = "Rule must contain at least one positive, non-stopword clause";
            return Err(Refused { reason: reason.into(), position: 1 });
        }
        Ok(Query(node))
    }

    pub fn matches(&self, tweet: &Tweet) -> bool {
        self.0.matches(tweet)
    }
}

struct Parser<'a> {
    tokens: Vec<(Token<'a>, usize)>,
    next: usize,
    length: usize,
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Node, Refused> {
        let mut nodes = vec![self.all()?];
        while self.peek() == Some(&Token::Or) {
            self.next += 1;
            nodes.push(self.all()?);
        }
        Ok(single(nodes, Node::Any))
    }

    fn all(&mut self) -> Result<Node, Refused> {
        let mut nodes = Vec::new();
        while !matches!(self.peek(), None | Some(Token::Or | Token::Close)) {
            nodes.push(self.term()?);
        }
        if nodes.is_empty() {
            return Err(self.refuse("missing a clause"));
        }
        Ok(single(nodes, Node::All))
    }

    fn term(&mut self) -> Result<Node, Refused> {
        match self.peek() {
            Some(Token::Minus) => {
                self.next += 1;
                if self.peek() == Some(&Token::Open) {
                    return Err(self.refuse("Negation of groups is not supported"));
                }
                Ok(Node::Not(Box::new(self.term()?)))
            }
            Some(Token::Open) => {
                self.next += 1;
                let inner = self.any()?;
                if self.peek() != Some(&Token::Close) {
                    return Err(self.refuse("missing ')'"));
                }
                self.next += 1;
                Ok(inner)
            }
            Some(&Token::Term { operator, value, quoted }) => {
                let test = condition::read(operator, value, quoted).map_err(|reason| self.refuse(&reason))?;
                self.next += 1;
                Ok(Node::Is(test))
            }
            _ => Err(self.refuse("missing a clause")),
        }
    }

    fn peek(&self) -> Option<&Token<'_>> {
        self.tokens.get(self.next).map(|(token, _)| token)
    }

    fn refuse(&self, reason: &str) -> Refused {
        let position = self.tokens.get(self.next).map_or(self.length, |&(_, position)| position);
        Refused { reason: reason.into(), position: position + 1 }
    }
}

impl Node {
    /// X wants at least one condition that may stand alone in every alternative.
    fn stands_alone(&self) -> bool {
        match self {
            Node::All(nodes) => nodes.iter().any(Node::stands_alone),
            Node::Any(nodes) => nodes.iter().all(Node::stands_alone),
            Node::Not(_) => false,
            Node::Is(test) => test.stands_alone(),
        }
    }

    fn matches(&self, tweet: &Tweet) -> bool {
        match self {
            Node::All(nodes) => nodes.iter().all(|node| node.matches(tweet)),
            Node::Any(nodes) => nodes.iter().any(|node| node.matches(tweet)),
            Node::Not(node) => !node.matches(tweet),
            Node::Is(test) => test.matches(tweet),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<(Token<'_>, usize)>, Refused> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(character) = text[at..].chars().next() {
        let position = text[..at].chars().count();
        let rest = &text[at..];
        let (token, taken) = match character {
            _ if character.is_whitespace() => {
                at += character.len_utf8();
                continue;
            }
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '-' if rest[1..].chars().next().is_some_and(|next| !next.is_whitespace()) => (Token::Minus, 1),
            '"' => {
                let (value, taken) = quoted(rest, position)?;
                (Token::Term { operator: None, value, quoted: true }, taken)
            }
            _ => term(rest, position)?,
        };
        tokens.push((token, position));
        at += taken;
    }
    Ok(tokens)
}

/// A word, or an operator with its value, which may be quoted.
fn term(rest: &str, position: usize) -> Result<(Token<'_>, usize), Refused> {
    let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"')).unwrap_or(rest.len());
    let word = &rest[..end];
    if word == "OR" {
        return Ok((Token::Or, end));
    }
    match word.split_once(':') {
        // A list of numbers has blanks within its brackets.
        Some((operator, list)) if list.starts_with('[') => {
            let start = operator.len() + 1;
            let length = rest[start..].find(']').map_or(end - start, |at| at + 1);
            let value = &rest[start..start + length];
            Ok((Token::Term { operator: Some(operator), value, quoted: false }, start + length))
        }
        Some((operator, "")) if rest[end..].starts_with('"') => {
            let (value, taken) = quoted(&rest[end..], position)?;
            Ok((Token::Term { operator: Some(operator), value, quoted: true }, end + taken))
        }
        Some((operator, value)) => Ok((Token::Term { operator: Some(operator), value, quoted: false }, end)),
        None => Ok((Token::Term { operator: None, value: word, quoted: false }, end)),
    }
}

fn quoted(rest: &str, position: usize) -> Result<(&str, usize), Refused> {
    let closed = rest[1..].find('"').filter(|&length| length > 0);
    let length = closed.ok_or_else(|| Refused { reason: "missing '\"'".into(), position: position + 1 })?;
    Ok((&rest[1..=length], length + 2))
}

fn single(mut nodes: Vec<Node>, many: fn(Vec<Node>) -> Node) -> Node {
    match nodes.pop() {
        Some(only) if nodes.is_empty() => only,
        Some(last) => {
            nodes.push(last);
            many(nodes)
        }
        None => many(nodes),
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::tests::tweet;
    use super::*;

    #[test]
    fn queries_match_what_they_say() {
        let subject = tweet("alice", "en", "Is @Acme down again? #Outage see https://status.example.org/now AT&T");
        for (query, expected) in [
            ("down", true),
            ("dow", false),
            ("DOWN again", true),
            ("down missing", false),
            ("missing OR down", true),
            ("missing other OR down again", true),
            ("(missing OR down) again", true),
            ("(missing OR other) again", false),
            ("\"down again\"", true),
            ("\"again down\"", false),
            ("down -again", false),
            ("down -missing", true),
            ("down -\"see this\"", true),
            ("@acme", true),
            ("@acm", false),
            ("#outage", true),
            ("#out", false),
            ("from:Alice", true),
            ("from:@alice down", true),
            ("from:bob", false),
            ("to:acme", false),
            ("down lang:en", true),
            ("down lang:de", false),
            ("down -is:retweet", true),
            ("down is:reply", false),
            ("down has:links", true),
            ("down has:media", false),
            ("down -has:images", true),
            ("point_radius:[-8.54 47.37 16km]", false),
            ("down -point_radius:[-8.54 47.37 16km]", true),
            ("point_radius:[-8.54 47.37 16mi] OR (down point_radius:[1 2 3km]) OR down", true),
            ("url:status.example.org", true),
            ("url:\"https://status.example.org\"", true),
            ("at&t", true),
            ("@acme (down OR outage) -is:retweet", true),
        ] {
            assert_eq!(Query::parse(query).unwrap().matches(&subject), expected, "{query}");
        }
    }

    #[test]
    fn what_x_refuses_is_refused() {
        for (query, reason, position) in [
            ("(down", "missing ')'", 6),
            ("down)", "mismatched input ')'", 5),
            ("down OR", "missing a clause", 8),
            ("OR down", "missing a clause", 1),
            ("()", "missing a clause", 2),
            ("\"down", "missing '\"'", 1),
            ("down -(a b)", "Negation of groups is not supported", 7),
            ("-down", "at least one positive", 1),
            ("lang:en", "at least one positive", 1),
            ("is:retweet has:links", "at least one positive", 1),
            ("down OR lang:en", "at least one positive", 1),
            ("down nope:x", "invalid operator 'nope'", 6),
            ("down is:nice", "invalid value 'nice'", 6),
            ("down point_radius:[-8.54 47.37]", "invalid value '[-8.54 47.37]'", 6),
            ("point_radius:[181 0 1km]", "invalid value", 1),
            ("point_radius:[1 2 3km", "invalid value '[1'", 1),
            ("down from:", "needs a value", 6),
            ("conversation_id:x", "not a valid id", 1),
        ] {
            let refused = Query::parse(query).unwrap_err();
            assert!(refused.reason.contains(reason), "{query}: {refused:?}");
            assert_eq!(refused.position, position, "{query}: {refused:?}");
        }
    }
}
