//! The outside world: one path for every action, poll and test. A written connector is compiled once per
//! deploy ([`Connector`]), a configured account is bound to it ([`Connection`]), and the [`Executor`]
//! prepares, permits and sends one request at a time. Never touches the store: what is journaled goes back
//! to whoever calls (the worker, the command line).

pub mod action;
pub mod auth;
pub mod builtin;
mod clients;
pub mod compile;
pub mod connection;
pub mod cursor;
mod delivery;
pub mod egress;
pub mod errors;
pub mod exchange;
pub mod executor;
pub mod foreach;
pub mod inputs;
pub mod limits;
pub mod mask;
pub mod message;
pub mod paginator;
pub mod prepare;
pub mod reconcile;
mod redirect;
pub mod request;
pub mod requester;
pub mod selector;
mod tls;
pub mod trigger;

pub use self::action::Action;
pub use self::connection::Connection;
pub use self::cursor::{Cursor, Position};
pub use self::executor::{Executor, Page, Sent};

pub use self::paginator::PageToken;
pub use self::prepare::{AdHoc, Call, Prepared};
pub use self::trigger::{Item, Trigger};
pub use crate::manifest::problem::Problem;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::connection::Schemes;
use self::inputs::Inputs;
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
    pub(crate) schemes: Schemes,
    pub(crate) default_schemes: Vec<String>,
    /// The actions that prove a connection, best first.
    pub test: Vec<String>,
    actions: BTreeMap<String, Arc<Action>>,
    triggers: BTreeMap<String, Arc<Trigger>>,
}

impl Connector {
    /// Compiles a written connector, or tells everything that is wrong with it.
    pub fn compile(written: &manifest::Connector) -> Result<Connector, Vec<Problem>> {
        compile::connector(written)
    }

    /// Whether an account of it has nothing to configure.
    pub fn needs_no_fields(&self) -> bool {
        self.hosts.is_empty() && self.fields.is_empty()
    }

    /// An action by its name.
    pub fn action(&self, name: &str) -> Option<&Arc<Action>> {
        self.actions.get(name)
    }

    /// A trigger by its name.
    pub fn trigger(&self, name: &str) -> Option<&Arc<Trigger>> {
        self.triggers.get(name)
    }

    /// Its actions, by name.
    pub fn actions(&self) -> impl Iterator<Item = &Arc<Action>> {
        self.actions.values()
    }

    /// Its triggers, by name.
    pub fn triggers(&self) -> impl Iterator<Item = &Arc<Trigger>> {
        self.triggers.values()
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
