//! The memory that only a start needs. Reading files, checking and compiling a project touch most of the program
//! once, and leave free memory behind; a host that then waits for the next hour needs little of it. Called by
//! `app::up`.

/// Gives free memory of this thread back to the system, and takes the text of the program and of the libraries it
/// is linked with out of this process's memory: what is needed again comes back by itself, a page at a time, from
/// where the system keeps files. The text is given back on Linux alone.
pub fn give_back() {
    #[expect(unsafe_code, reason = "the allocator has no other way to be asked")]
    // SAFETY: it frees what the allocator holds and nobody uses, as any deallocation may; it may be called on any
    // thread at any time, also where another allocator is at work.
    unsafe {
        libmimalloc_sys::mi_collect(true);
    }
    #[cfg(target_os = "linux")]
    linux::give_back_text();
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::c_void;
    use std::fs;

    use rustix::mm::{Advice, madvise};

    pub fn give_back_text() {
        let Ok(maps) = fs::read_to_string("/proc/self/maps") else {
            return;
        };
        for (start, length) in maps.lines().filter_map(text) {
            #[expect(unsafe_code, reason = "advice of which SAFETY says why nothing is lost by it")]
            // SAFETY: the range is a mapping of a file that this process cannot write to and that no relocation wrote
            // to: its pages are the file's, and the next access reads them from there again, as it would after the
            // system had taken them by itself.
            let advised = unsafe { madvise(start as *mut c_void, length, Advice::LinuxDontNeed) };
            if let Err(error) = advised {
                tracing::debug!("the program's text stays in memory: {error}");
            }
        }
    }

    /// Start and length of a mapping that `/proc/self/maps` tells of, where it is code of a file, or the constants
    /// before it; see proc_pid_maps(5). The constants after it are left alone: the loader wrote addresses there.
    pub(super) fn text(line: &str) -> Option<(usize, usize)> {
        let mut fields = line.split_whitespace();
        let (range, access, offset) = (fields.next()?, fields.next()?, fields.next()?);
        let path = fields.nth(2)?;
        let is_first = access == "r--p" && offset.trim_matches('0').is_empty();
        if !path.starts_with('/') || !(access == "r-xp" || is_first) {
            return None;
        }
        let (start, end) = range.split_once('-')?;
        let start = usize::from_str_radix(start, 16).ok()?;
        let end = usize::from_str_radix(end, 16).ok()?;
        Some((start, end.checked_sub(start)?))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn code_and_the_constants_before_it_are_given_back_and_nothing_else() {
        let maps = [
            ("55d0-55e0 r--p 00000000 fe:00 10 /bin/tidegate", Some((0x55d0, 0x10))),
            ("55e0-5600 r-xp 00407000 fe:00 10 /bin/tidegate", Some((0x55e0, 0x20))),
            ("5600-5610 r--p 00ef7000 fe:00 10 /bin/tidegate", None),
            ("5610-5620 rw-p 00f00000 fe:00 10 /bin/tidegate", None),
            ("7f00-7f10 r-xp 00001000 fe:00 11 /lib/libc.so.6", Some((0x7f00, 0x10))),
            ("7f10-7f20 r--p 00011000 fe:00 11 /lib/libc.so.6", None),
            ("7f20-7f30 rw-p 00000000 00:00 0", None),
            ("7ffe-7fff r-xp 00000000 00:00 0 [vdso]", None),
        ];
        for (line, expected) in maps {
            assert_eq!(linux::text(line), expected, "{line}");
        }
    }

    #[test]
    fn the_program_goes_on_with_less_in_memory() {
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find(|line| line.starts_with("RssFile:")).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
        };
        let before = resident();
        give_back();
        assert!(resident() < before, "{before} kB are still there");
    }
}
