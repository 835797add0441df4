//! The scheduling priority of threads that hash.

/// Gives the calling thread the lowest scheduling priority that the system has, so that hashing takes only time that
/// nobody else wants.
///
/// # Errors
///
/// When the system refuses. The thread then goes on with the priority it had.
#[cfg(target_os = "linux")]
pub fn lower_this_thread() -> std::io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 names the calling thread, and `parameters` outlives the call, which only reads it.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &parameters) };
    if result == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error())
    }
}

/// Gives the calling thread the lowest scheduling priority that the system has, so that hashing takes only time that
/// nobody else wants.
///
/// # Errors
///
/// When the system refuses. The thread then goes on with the priority it had.
#[cfg(all(unix, not(target_os = "linux")))]
pub fn lower_this_thread() -> std::io::Result<()> {
    // SAFETY: the call takes no pointers.
    let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) };
    if result == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn a_lowered_thread_is_scheduled_only_when_idle() {
        std::thread::spawn(|| {
            super::lower_this_thread().unwrap();
            // SAFETY: the call takes no pointers.
            assert_eq!(unsafe { libc::sched_getscheduler(0) }, libc::SCHED_IDLE);
        })
        .join()
        .unwrap();
    }
}
