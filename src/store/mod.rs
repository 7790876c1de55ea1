//! State: what has to survive a kill. `database` is the seam to SQLite (and PostgreSQL); each topic above
//! it holds its statements once. Never imports `connector`: the worker carries what one needs of the other.

pub mod database;
