//! The outside world: one path for every action, poll and test. A written connector is compiled once per
//! deploy ([`Connector`]), a configured account is bound to it ([`Connection`]), and the [`Executor`]
//! prepares, permits and sends one request at a time. Never touches the store: what is journaled goes back
//! to whoever calls (the worker, the command line).

pub mod action;
pub mod auth;
pub mod builtin;
mod clients;
pub mod compile;
pub mod composite;
pub mod connection;
pub mod cursor;
mod delivery;
pub mod egress;
pub mod errors;
pub mod exchange;
pub mod executor;
pub mod files;
pub mod foreach;
pub mod grants;
pub mod inputs;
mod lazy;
pub mod limits;
pub mod mask;
pub mod message;
mod multipart;
pub mod paginator;
pub mod prepare;
pub mod reconcile;
mod redirect;
pub mod replies;
pub mod request;
pub mod requester;
pub mod resolve;
mod restriction;
pub mod selector;
pub mod table;
mod tls;
pub mod trigger;
pub mod vault;

pub use self::action::Action;
pub use self::connection::Connection;
pub use self::cursor::{Cursor, Position};
pub use self::exchange::Exchange;
pub use self::executor::{Executor, Page, Sent};
pub use self::lazy::Written;
pub use self::paginator::PageToken;
pub use self::prepare::{AdHoc, Call, Prepared};
pub use self::replies::Replies;
pub use self::table::Table;
pub use self::trigger::{Item, Trigger};
pub use crate::manifest::problem::Problem;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::connection::Schemes;
use self::inputs::Inputs;
use self::lazy::Parts;
use crate::engine::Failure;
use crate::manifest;
use crate::template::Template;

/// One service, compiled once per deploy and shared by all its connections and flows.
#[derive(Debug)]
pub struct Connector {
    /// Its name.
    pub name: String,
    /// What people call it.
    pub title: String,
    pub(crate) hosts: Vec<(String, Template)>,
    pub(crate) fields: Inputs,
    pub(crate) secret_fields: Vec<String>,
    /// The fields that name the app, best first.
    pub(crate) app_fields: Vec<String>,
    pub(crate) schemes: Schemes,
    pub(crate) default_schemes: Vec<String>,
    /// The actions that prove a connection, best first.
    pub test: Vec<String>,
    pub(crate) restrictions: BTreeMap<String, Arc<restriction::Restriction>>,
    /// The names of all inputs of its actions.
    pub(crate) inputs: BTreeSet<String>,
    shapes: Arc<selector::Shapes>,
    actions: Parts<Action>,
    triggers: Parts<Trigger>,
    /// How answers come back to what its actions ask.
    pub replies: Option<Replies>,
    /// What actions and triggers are compiled from; none where all of them are compiled.
    written: Option<Arc<Written>>,
}

impl Connector {
    /// Compiles a written connector, or tells everything that is wrong with it.
    ///
    /// # Errors
    /// Every mistake, by JSON pointer.
    pub fn compile(written: &manifest::Connector) -> Result<Connector, Vec<Problem>> {
        compile::connector(written)
    }

    /// The same for one that is known to compile: an action or a trigger is compiled when it is first asked for.
    ///
    /// # Errors
    /// Mistakes in what these share.
    pub fn lazily(written: Arc<Written>) -> Result<Connector, Vec<Problem>> {
        compile::lazily(written)
    }

    /// Whether an account of it has nothing to configure.
    pub fn needs_no_fields(&self) -> bool {
        self.hosts.is_empty() && self.fields.is_empty()
    }

    /// The names of its hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().map(|(name, _)| name.as_str())
    }

    /// An action by its name.
    pub fn action(&self, name: &str) -> Option<&Arc<Action>> {
        self.actions.get(name, |problems| {
            let written = self.written.as_ref()?.manifest();
            Some(compile::action(&written, name, written.actions.get(name)?, &self.shapes, problems))
        })
    }

    /// A trigger by its name.
    pub fn trigger(&self, name: &str) -> Option<&Arc<Trigger>> {
        self.triggers.get(name, |problems| {
            let written = self.written.as_ref()?.manifest();
            Some(compile::trigger(&written, name, written.triggers.get(name)?, problems))
        })
    }

    /// Its actions, by name; all of them are compiled for it.
    pub fn actions(&self) -> impl Iterator<Item = &Arc<Action>> {
        self.actions.names().filter_map(|name| self.action(name))
    }
}

/// A template that could not be evaluated, before anything was sent.
pub(crate) fn template_failure(error: &crate::template::Error) -> Failure {
    let failure = Failure::not_sent(error.code, error.message.clone());
    match &error.help {
        Some(help) => failure.with_help(help.clone()),
        None => failure,
    }
}
