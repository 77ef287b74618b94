//! Health and administration over HTTP, and drains that lift themselves or are carried over a restart.
//!
//! `health` and `status` only read. `api` is the administration service: `auth` says who may, `body` reads within
//! bounds, `orders` judges the whole order and then obeys it in one step. `cross_site` refuses the orders that a browser
//! sends for a foreign page. `reply` has the form of all answers, `whole` reads whole numbers. `ttl` and `snapshot` are the
//! handle's.

mod api;
mod auth;
mod body;
mod cross_site;
mod health;
mod orders;
mod reply;
mod snapshot;
mod status;
mod ttl;
mod whole;

pub(crate) use self::whole::Whole;
pub use self::{
    api::{Admin, AdminFuture},
    auth::TokenError,
    health::{Liveness, Readiness},
    snapshot::DrainSnapshot,
    status::StatusService,
    ttl::DEFAULT_TTL,
};
