//! The manifests that come inside the program: the connectors that a project may use without having them, and
//! the flows of the demo.

/// A manifest inside the program.
#[derive(Clone, Copy, Debug)]
pub struct Embedded {
    /// The manifest's name.
    pub name: &'static str,
    /// What diagnostics call the file.
    pub path: &'static str,
    /// Its text.
    pub text: &'static str,
    /// Whether a project may have its own connector of this name.
    pub is_overridable: bool,
}

macro_rules! embedded {
    ($folder:literal, $name:literal, $is_overridable:literal) => {
        Embedded {
            name: $name,
            path: concat!("<embedded>/", $folder, "/", $name, ".yaml"),
            text: include_str!(concat!("../../", $folder, "/", $name, ".yaml")),
            is_overridable: $is_overridable,
        }
    };
}

/// The connectors. `log` and `file` are done by this program itself, so they stay what they are.
pub const CONNECTORS: &[Embedded] = &[
    embedded!("connectors", "file", false),
    embedded!("connectors", "json", true),
    embedded!("connectors", "log", false),
    embedded!("connectors", "twilio", true),
    embedded!("connectors", "x", true),
];

/// The flows of the demo.
pub const FLOWS: &[Embedded] = &[
    embedded!("flows", "json-to-file", true),
    embedded!("flows", "sms-to-tweet", true),
    embedded!("flows", "tweet-to-sms", true),
];
