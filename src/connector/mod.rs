//! The outside world: everything that leaves this process for a service, and what comes back.

pub mod auth;
pub mod clients;
pub mod delivery;
pub mod egress;
pub mod exchange;
pub mod limits;
pub mod mask;
pub mod message;
pub mod redirect;
pub mod requester;
pub mod tls;
