//! Which names a template can read at its place, and what is known of them. Built by the files that know the
//! places (`flow`, `steps`, `requests`), asked by `expressions`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::template::{Segment, path_text};

use super::findings::suggestion;
use super::types::{Found, Kinds, Member, Type};

/// The names that are readable somewhere, and where: told when one is read in another place.
const ELSEWHERE: &[(&str, &str)] = &[
    ("approval", "`approval` can be read in what sends an approval, and where an action that asks people is called"),
    ("body", "`body` can be read in `response.set` alone"),
    ("connection", "`connection` can be read in a connector's requests, steps and `auth` alone; a flow never sees it"),
    ("cursor", "`cursor` can be read in the `with` of a connector's trigger alone"),
    ("error", "`error` can be read in `on_failure` alone; after `on_error: continue` read `steps.<id>.error`"),
    ("inputs", "`inputs` cannot be read here"),
    ("item", "`item` can be read in a flow's steps, its `where` and its concurrency key alone"),
    ("record", "`record` can be read in `where`, `set`, `match` and `not_ready` of a connector alone"),
    ("resolved", "`resolved` can be read in an action with `resolve` alone"),
    ("response", "`response` can be read in error rules alone"),
    ("run", "`run` can be read in steps alone"),
    ("steps", "`steps` can be read in steps alone"),
];

/// What can be read at one place.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    roots: BTreeMap<String, Type>,
    /// What exists but is secret here, as (root, member): fields of `connection`, a flow's inputs.
    secrets: Arc<BTreeSet<(&'static str, String)>>,
    /// Whether those can be read all the same, as they are: not by a helper, which would see what stands for them.
    shows_secrets: bool,
    /// Steps that exist but cannot be read here, and why.
    hidden_steps: BTreeMap<String, String>,
    /// Whether a member that may be absent is no slip here: a scheme whose fields are not given is not used.
    forgives_absence: bool,
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    pub of: Type,
    /// The part of the path that may be absent.
    pub perhaps_absent: Option<String>,
    /// Whether it is a secret that cannot be read here.
    pub secret: bool,
    /// Whether it is a secret that helpers cannot read.
    pub as_it_is: bool,
}

/// Why a path leads nowhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub code: &'static str,
    pub message: String,
    pub help: Option<String>,
}

impl Scope {
    /// Nothing can be read.
    pub fn new() -> Scope {
        Scope::default()
    }

    /// The same with one more root.
    #[must_use]
    pub fn with(mut self, name: &str, of: Type) -> Scope {
        self.set(name, of);
        self
    }

    /// Puts a root in place.
    pub fn set(&mut self, name: &str, of: Type) {
        self.roots.insert(name.to_owned(), of);
    }

    /// Whether there is a root of that name.
    pub fn has(&self, name: &str) -> bool {
        self.roots.contains_key(name)
    }

    /// The same where these members of a root are secret.
    #[must_use]
    pub fn keeping(mut self, root: &'static str, secrets: BTreeSet<String>) -> Scope {
        self.secrets = Arc::new(secrets.into_iter().map(|name| (root, name)).collect());
        self
    }

    /// The same where secrets can be read, but not by helpers.
    #[must_use]
    pub fn showing_secrets(mut self) -> Scope {
        self.shows_secrets = true;
        self
    }

    /// The same where a member that may be absent is no slip.
    #[must_use]
    pub fn forgiving_absence(mut self) -> Scope {
        self.forgives_absence = true;
        self
    }

    /// A step can be read from here on.
    pub fn show_step(&mut self, id: &str, member: Member) {
        let steps = self.roots.remove("steps").unwrap_or_else(|| Type::object([]));
        self.roots.insert("steps".to_owned(), steps.with(id, member));
        self.hidden_steps.remove(id);
    }

    /// The step exists, but cannot be read here.
    pub fn hide_step(&mut self, id: &str, why: impl Into<String>) {
        if !self.shows_step(id) {
            self.hidden_steps.insert(id.to_owned(), why.into());
        }
    }

    /// The steps that can be read.
    pub fn shown_steps(&self) -> Vec<(String, Member)> {
        let steps = self.roots.get("steps");
        steps
            .into_iter()
            .flat_map(|steps| steps.members.iter())
            .map(|(id, member)| (id.clone(), member.clone()))
            .collect()
    }

    fn shows_step(&self, id: &str) -> bool {
        self.roots.get("steps").is_some_and(|steps| steps.members.contains_key(id))
    }

    /// Where a path leads.
    pub fn resolve(&self, path: &[Segment]) -> Result<Resolved, Fault> {
        let Some((Segment::Key(root), rest)) = path.split_first() else {
            return Ok(Resolved { of: Type::any(), perhaps_absent: None, secret: false, as_it_is: false });
        };
        let Some(of) = self.roots.get(root) else {
            return Err(self.no_root(root));
        };
        let is_secret = match rest.first() {
            Some(Segment::Key(name)) => self.secrets.iter().any(|(of, secret)| of == root && secret == name),
            _ => false,
        };
        let mut resolved = Resolved {
            of: of.clone(),
            perhaps_absent: None,
            secret: is_secret && !self.shows_secrets,
            as_it_is: is_secret && self.shows_secrets,
        };
        for (position, segment) in rest.iter().enumerate() {
            let read = path.get(..=position).unwrap_or(path);
            let found = match segment {
                Segment::Key(name) => resolved.of.member(name),
                Segment::Element => resolved.of.element(),
                Segment::Index(place) if resolved.of.can_be(Kinds::ARRAY) => match resolved.of.element() {
                    Found::Member(member) => Found::Member(member),
                    _ => resolved.of.member(&place.to_string()),
                },
                Segment::Index(place) => resolved.of.member(&place.to_string()),
            };
            match found {
                Found::Unknown => {
                    return Ok(Resolved { of: Type::any(), ..resolved });
                }
                Found::Missing | Found::Scalar => {
                    return Err(self.no_member(read, segment, &resolved.of));
                }
                Found::Member(member) => {
                    if !member.required && resolved.perhaps_absent.is_none() && !self.forgives_absence {
                        resolved.perhaps_absent = Some(path_text(path.get(..position + 2).unwrap_or(path)));
                    }
                    resolved.of = member.of;
                }
            }
        }
        Ok(resolved)
    }

    fn no_root(&self, root: &str) -> Fault {
        if let Some((_, why)) = ELSEWHERE.iter().find(|(name, _)| *name == root) {
            return Fault {
                code: "template_not_here",
                message: format!("`{root}` cannot be read here"),
                help: Some((*why).to_owned()),
            };
        }
        Fault {
            code: "template_unknown_name",
            message: format!("there is no `{root}` to read"),
            help: suggestion(root, self.roots.keys().map(String::as_str)),
        }
    }

    fn no_member(&self, read: &[Segment], segment: &Segment, of: &Type) -> Fault {
        let (owner, name) = (path_text(read), path_text(std::slice::from_ref(segment)));
        if let ([Segment::Key(root)], Some(of_steps)) = (read, self.roots.get("steps"))
            && root == "steps"
        {
            return match self.hidden_steps.get(&name) {
                Some(why) => Fault {
                    code: "step_not_visible",
                    message: format!("the step `{name}` cannot be read here"),
                    help: Some(why.clone()),
                },
                None => Fault {
                    code: "unknown_step",
                    message: format!("there is no step with the id `{name}`"),
                    help: suggestion(
                        &name,
                        of_steps.members.keys().chain(self.hidden_steps.keys()).map(String::as_str),
                    ),
                },
            };
        }
        let (message, help) = if !of.can_be(Kinds::OBJECT) && of.can_be(Kinds::ARRAY) {
            (
                format!("`{owner}` is a list; it has no `{name}`"),
                Some(format!(
                    "read one element, as in `{owner}.0.{name}`, or go over all with `{{{{#each {owner}}}}}`"
                )),
            )
        } else if of.can_be(Kinds::OBJECT) {
            (format!("`{owner}` has no `{name}`"), suggestion(&name, of.members.keys().map(String::as_str)))
        } else {
            (format!("`{owner}` is {}; it has no `{name}`", of.kinds), None)
        };
        Fault { code: "template_unknown_path", message, help }
    }
}
