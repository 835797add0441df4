//! A small network of its own in network namespaces: a prover behind a router, and challengers on the other side of it.
//!
//! ```text
//! prover 10.77.1.2 ── 10.77.1.1 router 10.77.2.1 ── 10.77.2.2 challengers
//! ```
//!
//! The router shapes each direction of the prover's link with a token bucket (`tc tbf`). In place of the wire between router
//! and challengers there can be one that delays, loses and reorders, in this process: not every kernel has `netem`.

use crate::Result;
use std::{
    collections::BinaryHeap,
    ffi::OsStr,
    fs::{File, OpenOptions},
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc, Arc,
    },
    time::{Duration, Instant},
};
use tokio::net::{TcpListener, TcpStream};

/// A machine of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// The machine whose line is measured.
    Prover,
    /// The machine between the other two.
    Router,
    /// The machine of those that measure.
    Challengers,
}

/// What the wire between router and challengers does, in each direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wire {
    /// How long a packet takes one way.
    pub delay: Duration,
    /// How much longer it takes to the challengers than from them.
    pub longer_there: Duration,
    /// How much longer, each way, it takes to and from the last address of the challengers than the first one. Those between are evenly spread.
    pub spread: Duration,
    /// How much longer, each way, it takes to and from the second half of the addresses of the challengers than the first.
    pub to_half: Duration,
    /// The part of the packets that are lost.
    pub loss: f64,
    /// The part of the packets that take 3 ms longer, and come after later ones.
    pub reordered: f64,
}

/// How many addresses the challengers have.
pub const CHALLENGER_ADDRESSES: u8 = 16;
/// The last byte of the first of them.
const FIRST_CHALLENGER: u8 = 2;
/// How much longer a reordered packet takes.
const REORDERED_BY: Duration = Duration::from_millis(3);

/// A shaper of one direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shaper {
    /// The rate, counted in whole IP packets of 1 500 bytes.
    pub bits_per_second: u64,
    /// How many bytes pass at once after a silence.
    pub burst_bytes: u64,
    /// How long a packet waits at most before the next is dropped.
    pub queue: Duration,
}

/// The bytes of an Ethernet header, which the kernel counts and we do not.
const ETHERNET_HEADER_BYTES: u64 = 14;
const PACKET_BYTES: u64 = 1_500;

/// A network that is gone when this is dropped.
pub struct Lab {
    name: String,
}

/// Runs a program, and fails with what it says.
fn run<A: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = A>) -> Result<()> {
    let arguments: Vec<_> = arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect();
    let output = Command::new(program).args(&arguments).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
}

/// Runs a program given as one line.
pub(crate) fn sh(line: &str) -> Result<()> {
    let mut words = line.split_whitespace();
    run(words.next().unwrap_or_default(), words)
}

/// The file of a network namespace.
fn file_of(namespace: &str) -> PathBuf {
    Path::new("/run/netns").join(namespace)
}

impl Lab {
    /// Makes the network. The error says why there can be none here.
    ///
    /// # Errors
    ///
    /// Without root, `ip` or `tc`, or where the kernel has no namespaces.
    pub fn new(wire: Option<Wire>) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let lab = Self { name: format!("weir{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)) };
        let [prover, router, challengers] =
            [Host::Prover, Host::Router, Host::Challengers].map(|host| lab.namespace(host));
        for namespace in [&prover, &router, &challengers] {
            sh(&format!("ip netns add {namespace}"))?;
            sh(&format!("ip -n {namespace} link set lo up"))?;
        }
        sh(&format!("ip -n {prover} link add eth0 type veth peer name lan netns {router}"))?;
        match wire {
            None => sh(&format!("ip -n {router} link add wan type veth peer name eth0 netns {challengers}"))?,
            Some(wire) => wire.lay((&router, "wan"), (&challengers, "eth0"))?,
        }
        let links = [
            (&prover, "eth0", "10.77.1.2/24", "fd77:1::2/64"),
            (&router, "lan", "10.77.1.1/24", "fd77:1::1/64"),
            (&router, "wan", "10.77.2.1/24", "fd77:2::1/64"),
            (&challengers, "eth0", "10.77.2.2/24", "fd77:2::2/64"),
        ];
        for (namespace, link, ipv4, ipv6) in links {
            sh(&format!("ip -n {namespace} addr add {ipv4} dev {link}"))?;
            // A kernel without IPv6 still has IPv4.
            let _ = sh(&format!("ip -n {namespace} addr add {ipv6} dev {link} nodad"));
            sh(&format!("ip -n {namespace} link set {link} up"))?;
        }
        for number in 1..CHALLENGER_ADDRESSES {
            sh(&format!("ip -n {challengers} addr add 10.77.2.{}/24 dev eth0", FIRST_CHALLENGER + number))?;
        }
        for (namespace, link, by) in [(&prover, 1, "eth0"), (&challengers, 2, "eth0")] {
            sh(&format!("ip -n {namespace} route add default via 10.77.{link}.1"))?;
            let _ = sh(&format!("ip -n {namespace} -6 route add default via fd77:{link}::1 dev {by}"));
        }
        for setting in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
            let write = format!("echo 1 >/proc/sys/{setting}");
            let _ = run("ip", ["netns", "exec", &router, "sh", "-c", &write]);
        }
        Ok(lab)
    }

    /// The name of a host's namespace.
    pub fn namespace(&self, host: Host) -> String {
        let suffix = match host {
            Host::Prover => "p",
            Host::Router => "r",
            Host::Challengers => "c",
        };
        format!("{}{suffix}", self.name)
    }

    /// Where a host is reached.
    pub fn address(&self, host: Host) -> IpAddr {
        match host {
            Host::Prover => Ipv4Addr::new(10, 77, 1, 2).into(),
            Host::Router => Ipv4Addr::new(10, 77, 1, 1).into(),
            Host::Challengers => Ipv4Addr::new(10, 77, 2, 2).into(),
        }
    }

    /// One of the addresses of the challengers.
    pub fn challenger(&self, number: u8) -> IpAddr {
        Ipv4Addr::new(10, 77, 2, FIRST_CHALLENGER + number % CHALLENGER_ADDRESSES).into()
    }

    /// Where a host is reached over IPv6.
    pub fn ipv6_address(&self, host: Host) -> IpAddr {
        let net = if host == Host::Challengers { 2 } else { 1 };
        let number = if host == Host::Router { 1 } else { 2 };
        Ipv6Addr::new(0xfd77, net, 0, 0, 0, 0, 0, number).into()
    }

    /// The arguments that make `ip` run a program on a host.
    pub fn on(&self, host: Host, program: &Path) -> Vec<std::ffi::OsString> {
        ["netns", "exec", &self.namespace(host)].iter().map(Into::into).chain([program.into()]).collect()
    }

    /// Shapes what the prover receives and what it sends; without a shaper a direction is free.
    ///
    /// # Errors
    ///
    /// When the kernel has no token bucket filter.
    pub fn shape(&self, down: Option<Shaper>, up: Option<Shaper>) -> Result<()> {
        for (link, shaper) in [("lan", down), ("wan", up)] {
            let router = self.namespace(Host::Router);
            // Fails when there is none.
            let _ = sh(&format!("tc -n {router} qdisc del dev {link} root"));
            let Some(Shaper { bits_per_second, burst_bytes, queue }) = shaper else { continue };
            // The wire in this process has no Ethernet header.
            let is_ethernet = !file_of_link_is_tun(&router, link);
            let header = if is_ethernet { ETHERNET_HEADER_BYTES } else { 0 };
            let rate = bits_per_second * (PACKET_BYTES + header) / PACKET_BYTES;
            let limit = burst_bytes + rate / 8 * queue.as_millis() as u64 / 1_000;
            sh(&format!(
                "tc -n {router} qdisc add dev {link} root tbf rate {rate}bit burst {burst_bytes} limit {limit}"
            ))?;
        }
        Ok(())
    }

    /// Puts the prover behind a router that translates addresses, as at home, and forwards one UDP port to it. The
    /// challengers have no way to the prover's own address.
    ///
    /// # Errors
    ///
    /// When there is no `nft`, or the kernel cannot.
    pub fn translate(&self, forwarded: u16) -> Result<()> {
        let router = self.namespace(Host::Router);
        let nft = |rule: &str| run("ip", ["netns", "exec", &router, "nft", rule]);
        nft("add table ip nat")?;
        nft("add chain ip nat out { type nat hook postrouting priority 100 ; }")?;
        nft("add rule ip nat out oifname wan masquerade random")?;
        nft("add chain ip nat in { type nat hook prerouting priority -100 ; }")?;
        nft(&format!("add rule ip nat in iifname wan udp dport {forwarded} dnat to 10.77.1.2"))?;
        nft("add table ip filter")?;
        nft("add chain ip filter forward { type filter hook forward priority 0 ; policy accept ; }")?;
        nft("add rule ip filter forward ct status dnat accept")?;
        nft("add rule ip filter forward iifname wan ct state new drop")
    }
}

/// Whether a link of a namespace is a TUN device.
fn file_of_link_is_tun(namespace: &str, link: &str) -> bool {
    let output = Command::new("ip").args(["-n", namespace, "-d", "link", "show", link]).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("tun type tun"))
}

impl Drop for Lab {
    fn drop(&mut self) {
        for host in [Host::Prover, Host::Router, Host::Challengers] {
            let _ = sh(&format!("ip netns del {}", self.namespace(host)));
        }
    }
}

/// A packet on the wire.
#[derive(PartialEq, Eq)]
struct OnWire {
    due: Instant,
    number: u64,
    bytes: Vec<u8>,
}

impl Ord for OnWire {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // The earliest is the greatest.
        (other.due, other.number).cmp(&(self.due, self.number))
    }
}

impl PartialOrd for OnWire {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Wire {
    /// Lays the wire between two links, which it makes. It lasts as long as the process.
    fn lay(self, a: (&str, &str), b: (&str, &str)) -> Result<()> {
        let [a, b] = [tun(a.0, a.1)?, tun(b.0, b.1)?].map(Arc::new);
        for (from, to, longer) in [(a.clone(), b.clone(), self.longer_there), (b, a, Duration::ZERO)] {
            let (sender, receiver) = mpsc::channel();
            let wire = Self { delay: self.delay + longer, ..self };
            std::thread::Builder::new().name("wire-in".into()).spawn(move || wire.take(&from, &sender))?;
            std::thread::Builder::new().name("wire-out".into()).spawn(move || give(&to, &receiver))?;
        }
        Ok(())
    }

    fn take(self, mut from: &File, sender: &mpsc::Sender<OnWire>) {
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        let mut chance = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 11) as f64 / (1u64 << 53) as f64
        };
        let mut buffer = vec![0; 1 << 16];
        for number in 0.. {
            let Ok(length) = from.read(&mut buffer) else { return };
            if chance() < self.loss {
                continue;
            }
            let late = if chance() < self.reordered { REORDERED_BY } else { Duration::ZERO };
            let bytes = buffer[..length].to_vec();
            let due = Instant::now() + self.delay + self.spread_of(&bytes) + late;
            let packet = OnWire { due, number, bytes };
            if sender.send(packet).is_err() {
                return;
            }
        }
    }
}

impl Wire {
    /// How much longer a packet takes for the challenger that it is to or from.
    fn spread_of(self, packet: &[u8]) -> Duration {
        let is_ipv4 = packet.first().is_some_and(|first| first >> 4 == 4);
        let addresses = [packet.get(12..16), packet.get(16..20)].into_iter().flatten().filter(|_| is_ipv4);
        let number = addresses.filter_map(|address| match address {
            [10, 77, 2, last] => last.checked_sub(FIRST_CHALLENGER),
            _ => None,
        });
        let number = number.max().unwrap_or(0).min(CHALLENGER_ADDRESSES - 1);
        let of_half = if number < CHALLENGER_ADDRESSES / 2 { Duration::ZERO } else { self.to_half };
        of_half + self.spread * u32::from(number) / u32::from(CHALLENGER_ADDRESSES - 1)
    }
}

fn give(mut to: &File, receiver: &mpsc::Receiver<OnWire>) {
    let mut waiting = BinaryHeap::<OnWire>::new();
    loop {
        let wait = waiting.peek().map(|first| first.due.saturating_duration_since(Instant::now()));
        let received = match wait {
            None => receiver.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
            Some(wait) => receiver.recv_timeout(wait),
        };
        match received {
            Ok(packet) => waiting.push(packet),
            Err(mpsc::RecvTimeoutError::Timeout) => (),
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
        while waiting.peek().is_some_and(|first| first.due <= Instant::now()) {
            // A packet that the link does not take is lost.
            let _ = waiting.pop().map(|packet| to.write(&packet.bytes));
        }
    }
}

/// Does something inside a namespace, on a thread of its own that ends then. What it opens stays inside.
///
/// # Errors
///
/// When there is no such namespace, or what is done fails.
pub fn inside<T: Send + 'static>(
    namespace: &str,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T> {
    let file = File::open(file_of(namespace))?;
    let worker = std::thread::spawn(move || -> std::io::Result<T> {
        let kind = Some(rustix::thread::LinkNameSpaceType::Network);
        rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), kind)?;
        work()
    });
    Ok(worker.join().map_err(|_| "the thread inside a namespace panicked")??)
}

/// Lets a namespace reach a TCP port of this machine's loopback as one of its own, for as long as this runtime lives.
///
/// # Errors
///
/// When the namespace does not have the port.
pub fn forward(namespace: String, port: u16) -> Result<()> {
    let listener = inside(&namespace, move || std::net::TcpListener::bind(("127.0.0.1", port)))?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    tokio::spawn(async move {
        while let Ok((mut within, _)) = listener.accept().await {
            tokio::spawn(async move {
                if let Ok(mut outside) = TcpStream::connect(("127.0.0.1", port)).await {
                    let _ = tokio::io::copy_bidirectional(&mut within, &mut outside).await;
                }
            });
        }
    });
    Ok(())
}

/// Makes a TUN device in a namespace.
fn tun(namespace: &str, link: &str) -> Result<File> {
    let link = link.to_string();
    let device = inside(namespace, move || {
        let device = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
        // `struct ifreq`: a name of 16 bytes, then the flags.
        let mut request = [0u8; 40];
        request[..link.len()].copy_from_slice(link.as_bytes());
        let flags = libc::IFF_TUN | libc::IFF_NO_PI;
        request[16..18].copy_from_slice(&(flags as u16).to_ne_bytes());
        // SAFETY: the request is as long as `struct ifreq`, and lives through the call.
        if unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF as _, request.as_mut_ptr()) } < 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(device)
    });
    device.map_err(|error| format!("there can be no TUN device: {error}").into())
}
