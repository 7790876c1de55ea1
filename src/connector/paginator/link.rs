//! `Link` headers (RFC 8288), as far as paging needs them.

/// The target of `rel="next"` in `Link` headers (RFC 8288). Commas inside `<...>` and quotes do not separate.
pub fn next(headers: &[(String, String)]) -> Option<String> {
    headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("link"))
        .find_map(|(_, value)| links(value).into_iter().find(Link::is_next).map(|link| link.target))
}

struct Link {
    target: String,
    parameters: String,
}

impl Link {
    fn is_next(&self) -> bool {
        self.parameters.split(';').any(|parameter| {
            let Some((name, value)) = parameter.split_once('=') else {
                return false;
            };
            name.trim().eq_ignore_ascii_case("rel")
                && value
                    .trim()
                    .trim_matches('"')
                    .split_ascii_whitespace()
                    .any(|relation| relation.eq_ignore_ascii_case("next"))
        })
    }
}

fn links(value: &str) -> Vec<Link> {
    let mut found = Vec::new();
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((target, after)) = after.split_once('>') else {
            break;
        };
        let mut is_quoted = false;
        let end = after
            .find(|letter| {
                if letter == '"' {
                    is_quoted = !is_quoted;
                }
                letter == ',' && !is_quoted
            })
            .unwrap_or(after.len());
        let (parameters, remaining) = after.split_at(end);
        found.push(Link { target: target.to_owned(), parameters: parameters.to_owned() });
        rest = remaining;
    }
    found
}
