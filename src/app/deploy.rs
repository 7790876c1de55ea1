//! From files to what the worker works with.
