//! Reads a path as it is written (`item.author.username`, `items.0`, `items.[a key]`, `../x`, `@root.item`,
//! `@index`) into its base and its segments, knowing the blocks that it stands in.

use super::shape::{Base, Path, Segment};

/// One `each` or `with` around the place that is read.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// Only `each` counts.
    pub counts: bool,
    /// `as |row|`, and `as |row key|`.
    pub names: (Option<String>, Option<String>),
    /// From the scope's root to one element, where it is known.
    pub element: Option<Vec<Segment>>,
}

/// Reads a path; the error is a message.
pub(super) fn read(text: &str, blocks: &[Block]) -> Result<Path, String> {
    let Written { root, current, local, ups, segments } = split(text);
    let depth = ups;
    if local {
        return local_variable(text, depth, &segments, blocks);
    }
    if root {
        return from_root(text, segments);
    }
    if ups > blocks.len() {
        return Err(format!("`{text}` climbs out of {ups} blocks, but stands in {}", blocks.len()));
    }
    if ups == 0
        && !current
        && let Some(Segment::Key(first)) = segments.first()
        && let Some(named) = block_name(text, first, &segments, blocks)
    {
        return Ok(named);
    }
    match blocks.len().checked_sub(ups + 1) {
        None => from_root(text, segments),
        Some(position) => Ok(in_block(text, depth, segments, blocks.get(position))),
    }
}

/// A path as its characters say it, before the blocks around it are known.
struct Written {
    root: bool,
    current: bool,
    local: bool,
    ups: usize,
    segments: Vec<Segment>,
}

fn split(text: &str) -> Written {
    let mut rest = text;
    let mut written = Written { root: false, current: false, local: false, ups: 0, segments: Vec::new() };
    if let Some(stripped) = rest.strip_prefix("./") {
        written.current = true;
        rest = stripped;
    }
    if let Some(stripped) = rest.strip_prefix("@root.").or_else(|| rest.strip_prefix("@root/")) {
        written.root = true;
        rest = stripped;
    }
    if let Some(stripped) = rest.strip_prefix('@') {
        written.local = true;
        rest = stripped;
    }
    while let Some(stripped) = rest.strip_prefix("../").or_else(|| rest.strip_prefix("...")) {
        written.ups += 1;
        rest = stripped;
    }
    let mut first = true;
    while !rest.is_empty() {
        let bracketed = rest.strip_prefix('[');
        let (key, remaining) = match bracketed {
            Some(inner) => inner.split_once(']').unwrap_or((inner, "")),
            None => rest.split_at(rest.find(['.', '/']).unwrap_or(rest.len())),
        };
        rest = remaining.strip_prefix(['.', '/']).unwrap_or(remaining);
        if key == "this" && bracketed.is_none() {
            written.current |= first;
        } else {
            written.segments.push(segment(key));
        }
        first = false;
    }
    written
}

/// A number without leading zeros is an index; everything else is a name.
fn segment(key: &str) -> Segment {
    match key.parse::<usize>() {
        Ok(index) if index.to_string() == key => Segment::Index(index),
        _ => Segment::Key(key.to_owned()),
    }
}

fn from_root(text: &str, segments: Vec<Segment>) -> Result<Path, String> {
    match segments.first() {
        None => Err(format!("`{text}` names nothing here: write a path such as `item.text`")),
        Some(Segment::Key(_)) => Ok(Path { base: Base::Root, segments, text: text.to_owned(), resolved: None }),
        Some(_) => Err(format!("`{text}` begins with a number: a path begins with a name such as `item`")),
    }
}

fn in_block(text: &str, depth: usize, segments: Vec<Segment>, block: Option<&Block>) -> Path {
    let resolved = block.and_then(|block| block.element.clone()).map(|mut path| {
        path.extend(segments.iter().cloned());
        path
    });
    Path { base: Base::Block(depth), segments, text: text.to_owned(), resolved }
}

fn block_name(text: &str, first: &str, segments: &[Segment], blocks: &[Block]) -> Option<Path> {
    blocks.iter().rev().enumerate().find_map(|(depth, block)| {
        let rest = segments.get(1..).unwrap_or_default().to_vec();
        if block.names.0.as_deref() == Some(first) {
            return Some(in_block(text, depth, rest, Some(block)));
        }
        if block.names.1.as_deref() == Some(first) {
            return Some(Path { base: Base::Key(depth), segments: rest, text: text.to_owned(), resolved: None });
        }
        None
    })
}

fn local_variable(text: &str, depth: usize, segments: &[Segment], blocks: &[Block]) -> Result<Path, String> {
    let base = match segments {
        [Segment::Key(name)] => match name.as_str() {
            "index" => Base::Index(depth),
            "key" => Base::Key(depth),
            "first" => Base::First(depth),
            "last" => Base::Last(depth),
            _ => {
                return Err(format!("there is no `{text}`: there are `@index`, `@key`, `@first`, `@last` and `@root`"));
            }
        },
        _ => {
            return Err(format!("there is no `{text}`: there are `@index`, `@key`, `@first`, `@last` and `@root`"));
        }
    };
    let block = blocks.len().checked_sub(depth + 1).and_then(|position| blocks.get(position));
    match block {
        Some(block) if block.counts => Ok(Path { base, segments: Vec::new(), text: text.to_owned(), resolved: None }),
        _ => Err(format!("`{text}` is known only inside `{{{{#each}}}}`")),
    }
}
