//! Disks of a test's own, mounted over a directory: one that is small, and one whose power can be
//! cut. Only root can mount; elsewhere there is no disk, and the test says that it was skipped.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Cuts the power of the file system at a path when told to, and says when it stands ready:
/// EXT4_IOC_SHUTDOWN without a flush of the journal. Whatever was not synced is gone after the next
/// mount, and until then every write fails.
const CUT: &str = r#"open(my $root, "<", $ARGV[0]) or die "open: $!\n";
my $no_log_flush = pack("L", 2);
$| = 1;
print "ready\n";
<STDIN>;
ioctl($root, 0x8004587d, $no_log_flush) or die "ioctl: $!\n";"#;

/// A small disk in memory, mounted over a directory.
pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts a disk of `size_mib` over `at`; `None`, and a word about it, where that is not
    /// allowed.
    pub fn mount(at: &Path, size_mib: u64) -> Option<Self> {
        let size = format!("size={size_mib}m");
        let mut mount = Command::new("mount");
        try_to("mount a tmpfs", mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at))?;
        Some(Self { at: at.to_owned() })
    }

    /// Bytes that can still be written.
    pub fn free(&self) -> u64 {
        let fs = rustix::fs::statvfs(&self.at).expect("the disk");
        fs.f_bavail * fs.f_frsize
    }

    /// Fills the disk up to what shall be left free.
    pub fn fill(&self, left: u64) {
        let mut zeros = std::io::repeat(0).take(self.free().saturating_sub(left));
        let mut ballast =
            File::options().create(true).append(true).open(self.ballast()).expect("open");
        // Others write at the same time, so the end of the disk may come first.
        let _ = std::io::copy(&mut zeros, &mut ballast);
        assert!(self.free() <= left, "{} bytes are free", self.free());
    }

    /// Gives back what [`Self::fill`] took.
    pub fn make_room(&self) {
        fs::remove_file(self.ballast()).expect("the ballast");
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(&self.at);
    }
}

/// An ext4 file system in a file, mounted over a directory beside it.
pub struct PowerDisk {
    image: PathBuf,
    at: PathBuf,
}

impl PowerDisk {
    /// Makes and mounts a disk of `size_mib` below `place`; `None`, and a word about it, where
    /// that is not possible.
    pub fn mount(place: &Path, size_mib: u64) -> Option<Self> {
        let disk = Self { image: place.join("disk.img"), at: place.join("disk") };
        fs::create_dir(&disk.at).expect("a directory to mount over");
        let image = File::create(&disk.image).expect("an image");
        image.set_len(size_mib << 20).expect("a sparse file");
        try_to("make an ext4", Command::new("mkfs.ext4").arg("-q").arg(&disk.image))?;
        try_to("run perl", Command::new("perl").args(["-e", "1"]))?;
        try_to("mount an ext4", &mut disk.mount_command())?;
        Some(disk)
    }

    /// The directory over which the disk is mounted.
    pub fn at(&self) -> &Path {
        &self.at
    }

    /// Cuts the power. Whoever still writes gets errors; but a sync that is under way may return
    /// as if it had succeeded, which nobody lives to see when real power fails. So `about_to` runs
    /// right before: what is heard from then on comes from a machine that is off.
    pub fn cut(&self, about_to: impl FnOnce()) {
        let mut perl = Command::new("perl");
        perl.arg("-e").arg(CUT).arg(&self.at).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut cutter = perl.spawn().expect("perl is there");
        let mut said = BufReader::new(cutter.stdout.take().expect("its output"));
        said.read_line(&mut String::new()).expect("it opens the disk");
        about_to();
        // Closing its input is the word to cut.
        drop(cutter.stdin.take());
        assert!(cutter.wait().expect("perl ends").success(), "the power cannot be cut");
    }

    /// Comes up again with what was on the disk. Nobody may have a file open there.
    pub fn power_up(&self) {
        must("unmount", Command::new("umount").arg(&self.at));
        must("mount again", &mut self.mount_command());
    }

    fn mount_command(&self) -> Command {
        let mut mount = Command::new("mount");
        // Without `noauto_da_alloc` the file system hides a missing sync before a rename.
        mount.args(["-o", "loop,noauto_da_alloc"]).arg(&self.image).arg(&self.at);
        mount
    }
}

impl Drop for PowerDisk {
    fn drop(&mut self) {
        unmount(&self.at);
    }
}

/// Says that a test did not run, and why, past the capture of the test runner: it must be seen.
pub fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// Runs a command that may not be possible here.
fn try_to(what: &str, command: &mut Command) -> Option<()> {
    match command.output() {
        Ok(output) if output.status.success() => Some(()),
        Ok(output) => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            skipped(&format!("cannot {what} here: {}", stderr.trim()));
            None
        }
        Err(error) => {
            skipped(&format!("cannot {what} here: {error}"));
            None
        }
    }
}

fn must(what: &str, command: &mut Command) {
    let output = command.output().expect("the command is there");
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
}

fn unmount(at: &Path) {
    // Lazily: a process that still has a file open there must not keep the disk for ever.
    let _ = Command::new("umount").arg("--lazy").arg(at).stderr(Stdio::null()).status();
}
