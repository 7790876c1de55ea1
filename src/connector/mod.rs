//! The outside world: everything that leaves this process for a service, and what comes back.

pub mod auth;
mod clients;
mod delivery;
pub mod egress;
pub mod exchange;
pub mod limits;
pub mod mask;
pub mod message;
mod redirect;
pub mod requester;
mod tls;
