//! The program: everything it does is in the library.

use std::process::ExitCode;

// What one thread allocates, the store's writer frees: with the system's allocator a tenth of an item's
// time went into the locks between them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tidegate::cli::main()
}
