//! Tidegate: polls the APIs you use on a schedule, lets every new item through exactly once, and runs a
//! flow of actions for it. `ARCHITECTURE.md` is the map; arrows between these modules point down only.

pub mod app;
pub mod cli;
pub mod web;

pub mod worker;

pub mod connector;
pub mod store;

pub mod engine;
pub mod steps;

pub mod check;

pub mod manifest;
pub mod settings;
pub mod template;
pub mod yaml;

pub mod clock;
pub mod crash;
pub mod formats;
pub mod memory;
pub mod planted;
pub mod sealing;
pub mod secrets;

pub mod sandbox;
