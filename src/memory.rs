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
        let Ok(maps) = fs::read_to_string("/proc/self/smaps") else {
            return;
        };
        for (start, length) in of_files(&maps) {
            #[expect(unsafe_code, reason = "advice of which SAFETY says why nothing is lost by it")]
            // SAFETY: the range is a mapping of a file that this process cannot write to and none of whose pages differs
            // from the file, as a relocation makes them: the next access reads them from there again, as it would after
            // the system had taken them by itself.
            let advised = unsafe { madvise(start as *mut c_void, length, Advice::LinuxDontNeed) };
            if let Err(error) = advised {
                tracing::debug!("the program's text stays in memory: {error}");
            }
        }
    }

    /// Start and length of the mappings in `/proc/self/smaps` that are as their files are and cannot be written: code
    /// and constants, but for those that the loader wrote addresses to. See proc_pid_smaps(5).
    pub(super) fn of_files(maps: &str) -> Vec<(usize, usize)> {
        let mut found: Vec<(usize, usize)> = Vec::new();
        let mut is_of_file = false;
        for line in maps.lines() {
            if let Some((range, is_read_only)) = mapping(line) {
                is_of_file = is_read_only;
                found.extend(range.filter(|_| is_read_only));
            } else if is_of_file && ["Anonymous:", "Swap:"].iter().any(|name| line.starts_with(name)) {
                let is_unchanged = line.split_whitespace().nth(1) == Some("0");
                if !is_unchanged {
                    found.pop();
                    is_of_file = false;
                }
            }
        }
        found
    }

    /// Of a line that begins a mapping, what it spans, and whether it is of a file and can be read and run alone.
    fn mapping(line: &str) -> Option<(Option<(usize, usize)>, bool)> {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let access = fields.next()?;
        let path = fields.nth(3).unwrap_or_default();
        let start = usize::from_str_radix(start, 16).ok()?;
        let end = usize::from_str_radix(end, 16).ok()?;
        let length = end.checked_sub(start);
        Some((length.map(|length| (start, length)), path.starts_with('/') && matches!(access, "r-xp" | "r--p")))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_as_its_file_is_and_cannot_be_written_is_given_back_and_nothing_else() {
        let mappings = [
            ("55d0-55e0 r--p 00000000 fe:00 10 /bin/tidegate", 0, 0, true),
            ("55e0-5600 r-xp 00407000 fe:00 10 /bin/tidegate", 0, 0, true),
            ("5600-5610 r--p 00ef7000 fe:00 10 /bin/tidegate", 516, 0, false),
            ("5610-5620 rw-p 00f00000 fe:00 10 /bin/tidegate", 0, 0, false),
            ("7f00-7f10 r-xp 00001000 fe:00 11 /lib/a name.so.6", 0, 0, true),
            ("7f10-7f20 r--p 00011000 fe:00 11 /lib/libc.so.6", 0, 8, false),
            ("7f20-7f30 rw-p 00000000 00:00 0", 0, 0, false),
            ("7f30-7f40 rw-s 00000000 fe:00 12 /srv/tidegate.db-shm", 0, 0, false),
            ("7ffe-7fff r-xp 00000000 00:00 0 [vdso]", 0, 0, false),
        ];
        let mut maps = String::new();
        let mut expected = Vec::new();
        for (line, changed, swapped, is_given_back) in mappings {
            maps.push_str(&format!(
                "{line}\nRss: 64 kB\nAnonymous: {changed} kB\nSwap: {swapped} kB\nVmFlags: rd ex\n"
            ));
            let range = line.split(' ').next().unwrap().split_once('-').unwrap();
            let (start, end) =
                (usize::from_str_radix(range.0, 16).unwrap(), usize::from_str_radix(range.1, 16).unwrap());
            expected.extend(is_given_back.then_some((start, end - start)));
        }
        assert_eq!(linux::of_files(&maps), expected);
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
