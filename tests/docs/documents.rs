//! Markdown as far as the tests need it: fenced blocks with their info strings, links, headings, code words.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// A page.
pub struct Document {
    /// Relative to the repository.
    pub path: String,
    /// Its fenced blocks.
    pub blocks: Vec<Block>,
    // Without the blocks; (line, text).
    prose: Vec<(usize, String)>,
}

/// A fenced block.
pub struct Block {
    /// What stands behind the fence: `yaml flow`.
    pub info: String,
    /// The line of its fence, counted from 1.
    pub line: usize,
    pub text: String,
}

impl Block {
    /// The second word of its info string.
    pub fn kind(&self) -> &str {
        self.info.split_whitespace().nth(1).unwrap_or_default()
    }
}

/// The repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// README.md and every page of docs/.
pub fn all() -> impl Iterator<Item = Document> {
    let pages = fs::read_dir(root().join("docs")).unwrap();
    let mut paths: Vec<String> = pages
        .map(|entry| format!("docs/{}", entry.unwrap().file_name().to_str().unwrap()))
        .filter(|path| path.ends_with(".md"))
        .collect();
    paths.push("README.md".to_owned());
    paths.sort();
    paths.into_iter().map(|path| Document::read(&path))
}

impl Document {
    pub fn read(path: &str) -> Document {
        let text = fs::read_to_string(root().join(Path::new(path))).unwrap_or_else(|error| panic!("{path}: {error}"));
        Document::of(path.to_owned(), &text)
    }

    pub fn of(path: String, text: &str) -> Document {
        let mut blocks: Vec<Block> = Vec::new();
        let mut prose = Vec::new();
        let mut is_open = false;
        for (at, line) in text.lines().enumerate() {
            match (line.strip_prefix("```"), is_open) {
                (Some(info), false) => {
                    is_open = true;
                    blocks.push(Block { info: info.to_owned(), line: at + 1, text: String::new() });
                }
                (Some(""), true) => is_open = false,
                (_, true) => {
                    let block = blocks.last_mut().expect("an open block");
                    block.text += line;
                    block.text += "\n";
                }
                (None, false) => prose.push((at + 1, line.to_owned())),
            }
        }
        assert!(!is_open, "{path}: the last block is not closed");
        Document { path, blocks, prose }
    }

    /// The blocks whose info string begins with this word.
    pub fn of_language<'d>(&'d self, language: &'d str) -> impl Iterator<Item = &'d Block> {
        let words = |block: &Block| block.info.split_whitespace().next().map(str::to_owned);
        self.blocks.iter().filter(move |block| words(block).as_deref() == Some(language))
    }

    /// The ```yaml blocks of this kind.
    pub fn of_kind<'d>(&'d self, kind: &'d str) -> impl Iterator<Item = &'d Block> {
        self.of_language("yaml").filter(move |block| block.kind() == kind)
    }

    /// Where its links lead, with their lines.
    pub fn links(&self) -> Vec<(usize, String)> {
        let code = Regex::new("`[^`]*`").unwrap();
        let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
        let mut links = Vec::new();
        for (line, text) in &self.prose {
            let text = code.replace_all(text, "");
            links.extend(link.captures_iter(&text).map(|found| (*line, found[1].to_owned())));
        }
        links
    }

    /// Its headings as links name them.
    pub fn anchors(&self) -> BTreeSet<String> {
        let headings = self.prose.iter().filter_map(|(_, line)| line.strip_prefix('#'));
        headings
            .map(|heading| {
                let words = heading.trim_start_matches('#').trim().to_lowercase();
                words
                    .chars()
                    .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                    .map(|c| if c == ' ' { '-' } else { c })
                    .collect()
            })
            .collect()
    }

    /// Every word that stands in code, inline or in a block.
    pub fn code_words(&self) -> BTreeSet<String> {
        let inline = Regex::new("`([^`]+)`").unwrap();
        let word = Regex::new(r"[$A-Za-z_][A-Za-z0-9_]*").unwrap();
        let prose: String = self.prose.iter().map(|(_, line)| line.clone() + "\n").collect();
        let spans = inline.captures_iter(&prose).map(|found| found[1].to_owned());
        let blocks = self.blocks.iter().map(|block| block.text.clone());
        spans
            .chain(blocks)
            .flat_map(|code| word.find_iter(&code).map(|found| found.as_str().to_owned()).collect::<Vec<_>>())
            .collect()
    }
}
