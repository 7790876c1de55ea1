//! The manifests that come inside the program: the connectors that a project may use without having them, and
//! the flows of the demo.

use std::collections::BTreeSet;

/// A manifest inside the program.
#[derive(Clone, Copy, Debug)]
pub struct Embedded {
    /// The manifest's name.
    pub name: &'static str,
    /// Its files: one, or those of its folder.
    pub files: &'static [File],
    /// Whether a project may have its own connector of this name.
    pub is_overridable: bool,
}

/// One file of a manifest.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// What diagnostics call it.
    pub path: &'static str,
    /// Its text.
    pub text: &'static str,
}

macro_rules! file {
    ($path:expr) => {
        File { path: concat!("<embedded>/", $path), text: include_str!(concat!("../../", $path)) }
    };
}

macro_rules! embedded {
    ($folder:literal, $name:literal, $is_overridable:literal) => {
        Embedded {
            name: $name,
            files: &[file!(concat!($folder, "/", $name, ".yaml"))],
            is_overridable: $is_overridable,
        }
    };
    ($folder:literal, $name:literal, $is_overridable:literal, [$($file:literal),+ $(,)?]) => {
        Embedded {
            name: $name,
            files: &[$(file!(concat!($folder, "/", $name, "/", $file, ".yaml"))),+],
            is_overridable: $is_overridable,
        }
    };
}

/// The connectors. `email`, `file` and `log` are done by this program itself, so they stay what they are.
pub const CONNECTORS: &[Embedded] = &[
    embedded!("connectors", "email", false),
    embedded!("connectors", "file", false),
    embedded!("connectors", "json", true),
    embedded!("connectors", "log", false),
    embedded!(
        "connectors",
        "twilio",
        true,
        [
            "calls",
            "composites",
            "connection",
            "media",
            "messages",
            "numbers",
            "replies",
            "request",
            "triggers",
            "verify"
        ]
    ),
    embedded!(
        "connectors",
        "x",
        true,
        [
            "connection",
            "events",
            "media",
            "messages",
            "posting",
            "received",
            "restrictions",
            "schemas",
            "search",
            "shapes",
            "timelines",
            "triggers",
            "tweets",
            "users",
            "webhooks"
        ]
    ),
];

/// The flows of the demo.
pub const FLOWS: &[Embedded] = &[
    embedded!("flows", "json-to-file", true),
    embedded!("flows", "outage-watch", true),
    embedded!("flows", "sms-to-tweet", true),
    embedded!("flows", "tweet-to-sms", true),
];

/// Those of `left` whose name stands as a word in one of the texts, or in the files of another one of them.
pub fn named(mut left: Vec<&'static Embedded>, mut texts: Vec<&str>) -> Vec<&'static Embedded> {
    let mut named = Vec::new();
    while let Some(text) = texts.pop() {
        let words: BTreeSet<&str> =
            text.split(|letter: char| !(letter.is_alphanumeric() || matches!(letter, '_' | '-'))).collect();
        let (found, others): (Vec<&'static Embedded>, Vec<_>) =
            left.into_iter().partition(|embedded: &&'static Embedded| words.contains(embedded.name));
        texts.extend(found.iter().flat_map(|embedded| embedded.files.iter().map(|file| file.text)));
        named.extend(found);
        left = others;
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn files_below(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries
            .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path.display().to_string()] })
            .collect()
    }

    #[test]
    fn every_file_of_the_connectors_is_inside_the_program() {
        let mut written = files_below(Path::new("connectors"));
        written.sort();
        let files = CONNECTORS.iter().flat_map(|connector| connector.files);
        let mut inside: Vec<&str> = files.filter_map(|file| file.path.strip_prefix("<embedded>/")).collect();
        inside.sort_unstable();
        assert_eq!(inside, written);
    }

    #[test]
    fn what_is_named_comes_with_what_that_names() {
        let names = |texts: &[&str]| {
            let found = named(CONNECTORS.iter().collect(), texts.to_vec());
            found.into_iter().map(|embedded| embedded.name).collect::<BTreeSet<_>>()
        };
        assert_eq!(names(&["steps: [{action: shop.box, with: {x-y: twilios}}]"]), BTreeSet::new());
        let few = names(&["a: b", "{action: log.write}"]);
        assert!(few.contains("log") && few.is_disjoint(&BTreeSet::from(["x", "twilio"])), "{few:?}");
        // A composite of X asks `file` what it is about to send.
        assert!(names(&["poll: x.new_tweet"]).is_superset(&BTreeSet::from(["x", "file"])));
        assert!(names(&["{connector: \"twilio\"}"]).contains("twilio"));
    }
}
