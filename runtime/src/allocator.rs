//! The memory of the runtime, without a call of the node for each piece of it.
//!
//! The allocator that comes with the SDK asks the node for each piece, and again to take it back. Here pieces are cut one after the
//! other from an arena that is part of the WASM's own memory; one is given back only if it was the last, and what comes to live
//! longer leaves a hole. That is enough, since each call of the runtime begins with an empty memory and ends within a second. When
//! the arena is used up, pieces come from the node as before.

/// The size of the arena. The node gives a page of it only where it is used.
#[cfg(target_arch = "wasm32")]
const ARENA_BYTES: usize = 16 << 20;

/// Cuts pieces from a range of addresses.
#[derive(Clone, Copy, Debug)]
struct Arena {
    /// The first address.
    begin: usize,
    /// The first address that is not in a piece. All after it are free.
    next: usize,
    /// The first address beyond.
    end: usize,
}

impl Arena {
    const fn new(begin: usize, bytes: usize) -> Self {
        Self { begin, next: begin, end: begin.saturating_add(bytes) }
    }

    /// Whether an address is that of a piece of this arena.
    fn owns(&self, address: usize) -> bool {
        (self.begin..self.end).contains(&address)
    }

    /// The address of a new piece, a multiple of `align`, or nothing if there is no room.
    fn allocate(&mut self, bytes: usize, align: usize) -> Option<usize> {
        let address = self.next.checked_next_multiple_of(align)?;
        let next = address.checked_add(bytes).filter(|next| *next <= self.end)?;
        self.next = next;
        Some(address)
    }

    /// Takes a piece back.
    fn free(&mut self, address: usize, bytes: usize) {
        if address.checked_add(bytes) == Some(self.next) {
            self.next = address;
        }
    }

    /// Makes a piece larger or smaller where it is, if it can.
    fn resize(&mut self, address: usize, old_bytes: usize, new_bytes: usize) -> bool {
        if address.checked_add(old_bytes) != Some(self.next) {
            return new_bytes <= old_bytes;
        }
        let Some(next) = address.checked_add(new_bytes).filter(|next| *next <= self.end) else { return false };
        self.next = next;
        true
    }
}

/// What the node's allocator aligns to.
const NODE_ALIGN: usize = 8;

/// How many bytes to ask the node for, so that there is a piece of `bytes` with this alignment among them.
///
/// Where more is wanted than the node aligns to, what it returned must be remembered: the address of it stands before the piece.
fn bytes_from_node(bytes: usize, align: usize) -> Option<u32> {
    let excess = if align > NODE_ALIGN { align } else { 0 };
    u32::try_from(bytes.checked_add(excess)?).ok()
}

/// Where the piece begins in what the node returned: where that does, or, with room for an address before it, at the next multiple of
/// what is wanted. There are 8 bytes before it at the least, since what the node returns is a multiple of 8.
fn begin_of_piece(returned: usize, align: usize) -> Option<usize> {
    if align <= NODE_ALIGN {
        return Some(returned);
    }
    returned.checked_add(1)?.checked_next_multiple_of(align)
}

#[cfg(target_arch = "wasm32")]
mod global {
    use super::{begin_of_piece, bytes_from_node, Arena, ARENA_BYTES, NODE_ALIGN};
    use core::{
        alloc::{GlobalAlloc, Layout},
        cell::UnsafeCell,
        ptr,
    };

    #[repr(align(16))]
    struct Memory(UnsafeCell<[u8; ARENA_BYTES]>);

    // There are no threads in the WASM.
    unsafe impl Sync for Memory {}

    static MEMORY: Memory = Memory(UnsafeCell::new([0; ARENA_BYTES]));

    struct Allocator(UnsafeCell<Option<Arena>>);

    // There are no threads in the WASM.
    unsafe impl Sync for Allocator {}

    #[global_allocator]
    static ALLOCATOR: Allocator = Allocator(UnsafeCell::new(None));

    impl Allocator {
        fn with<R>(&self, act: impl FnOnce(&mut Arena) -> R) -> R {
            // Sound: nothing that is done with the arena allocates, so that nobody else has it.
            let arena = unsafe { &mut *self.0.get() };
            act(arena.get_or_insert_with(|| Arena::new(MEMORY.0.get() as usize, ARENA_BYTES)))
        }
    }

    unsafe impl GlobalAlloc for Allocator {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            match self.with(|arena| arena.allocate(layout.size(), layout.align())) {
                Some(address) => address as *mut u8,
                None => unsafe { allocate_from_node(layout) },
            }
        }

        unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
            // What the node returns to the runtime is freed here too, and is not of the arena.
            if self.with(|arena| arena.owns(piece as usize)) {
                self.with(|arena| arena.free(piece as usize, layout.size()));
            } else {
                unsafe { free_to_node(piece, layout) }
            }
        }

        unsafe fn realloc(&self, piece: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
            let address = piece as usize;
            if self.with(|arena| arena.owns(address) && arena.resize(address, layout.size(), bytes)) {
                return piece;
            }
            let Ok(wanted) = Layout::from_size_align(bytes, layout.align()) else { return ptr::null_mut() };
            unsafe {
                let moved = self.alloc(wanted);
                if !moved.is_null() {
                    ptr::copy_nonoverlapping(piece, moved, layout.size().min(bytes));
                    self.dealloc(piece, layout);
                }
                moved
            }
        }
    }

    unsafe fn allocate_from_node(layout: Layout) -> *mut u8 {
        let Some(bytes) = bytes_from_node(layout.size(), layout.align()) else { return ptr::null_mut() };
        let returned = sp_io::allocator::malloc(bytes);
        let Some(begin) = begin_of_piece(returned as usize, layout.align()) else { return ptr::null_mut() };
        let piece = begin as *mut u8;
        if layout.align() > NODE_ALIGN {
            unsafe { piece.cast::<*mut u8>().sub(1).write(returned) };
        }
        piece
    }

    unsafe fn free_to_node(piece: *mut u8, layout: Layout) {
        let is_aligned_by_us = layout.align() > NODE_ALIGN;
        let returned = if is_aligned_by_us { unsafe { piece.cast::<*mut u8>().sub(1).read() } } else { piece };
        sp_io::allocator::free(returned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BEGIN: usize = 0x1_0010;
    const BYTES: usize = 4_096;

    #[derive(Clone, Debug)]
    enum Step {
        Allocate(usize, u32),
        Free(usize),
        Resize(usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0usize..600, 0u32..6).prop_map(|(bytes, power)| Step::Allocate(bytes, power)),
            any::<usize>().prop_map(Step::Free),
            (any::<usize>(), 0usize..600).prop_map(|(which, bytes)| Step::Resize(which, bytes)),
        ]
    }

    proptest! {
        #[test]
        fn pieces_are_aligned_within_the_arena_and_never_share_a_byte(steps in proptest::collection::vec(step(), 0..200)) {
            let mut arena = Arena::new(BEGIN, BYTES);
            let mut pieces: Vec<(usize, usize)> = Vec::new();
            for step in steps {
                match step {
                    Step::Allocate(bytes, power) => {
                        let align = 1 << power;
                        if let Some(address) = arena.allocate(bytes, align) {
                            prop_assert_eq!(address % align, 0);
                            pieces.push((address, bytes));
                        }
                    },
                    Step::Free(which) if !pieces.is_empty() => {
                        let (address, bytes) = pieces.swap_remove(which % pieces.len());
                        arena.free(address, bytes);
                    },
                    Step::Resize(which, bytes) if !pieces.is_empty() => {
                        let index = which % pieces.len();
                        let (address, old) = pieces[index];
                        if arena.resize(address, old, bytes) {
                            pieces[index].1 = bytes;
                        }
                    },
                    _ => (),
                }
                let mut ranges: Vec<_> = pieces.iter().filter(|(_, bytes)| *bytes > 0).copied().collect();
                ranges.sort_unstable();
                prop_assert!(ranges.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
                prop_assert!(ranges.iter().all(|(address, bytes)| *address >= BEGIN && address + bytes <= BEGIN + BYTES));
                prop_assert!(ranges.iter().all(|(address, _)| arena.owns(*address)));
            }
        }
    }

    proptest! {
        #[test]
        fn a_piece_from_the_node_is_aligned_within_what_it_returned_and_after_an_address(
            returned in (1usize..100_000).prop_map(|words| 8 * words), bytes in 1usize..1_000, power in 0u32..8,
        ) {
            let align = 1 << power;
            let begin = begin_of_piece(returned, align).unwrap();
            let asked = bytes_from_node(bytes, align).unwrap() as usize;
            prop_assert_eq!(begin % align, 0);
            prop_assert!(begin + bytes <= returned + asked);
            prop_assert!(align <= NODE_ALIGN || begin - returned >= NODE_ALIGN);
        }
    }

    #[test]
    fn a_piece_that_was_the_last_leaves_no_hole() {
        let mut arena = Arena::new(BEGIN, BYTES);
        for _ in 0..1_000 {
            let first = arena.allocate(100, 1).unwrap();
            assert!(arena.resize(first, 100, 3_000));
            arena.free(first, 3_000);
        }
        assert_eq!(arena.allocate(BYTES, 16), Some(BEGIN));
        assert_eq!(arena.allocate(1, 1), None);
    }

    #[test]
    fn what_is_freed_in_a_smaller_size_than_it_had_is_lost_and_nothing_else() {
        let mut arena = Arena::new(BEGIN, BYTES);
        let piece = arena.allocate(100, 1).unwrap();
        let next = arena.allocate(100, 1).unwrap();
        assert!(arena.resize(piece, 100, 50));
        assert!(!arena.resize(piece, 50, 60));
        arena.free(piece, 50);
        assert_eq!(arena.allocate(10, 1), Some(next + 100));
    }

    #[test]
    fn sizes_that_do_not_fit_an_address_are_refused() {
        let mut arena = Arena::new(BEGIN, BYTES);
        assert_eq!(arena.allocate(usize::MAX, 1), None);
        let piece = arena.allocate(1, 1).unwrap();
        assert!(!arena.resize(piece, 1, usize::MAX));
    }
}
