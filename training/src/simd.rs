/// Defines a function that runs an `#[inline(always)]` one compiled for AVX2 where the processor
/// has it. Its results are the same bits on any processor: nothing here lets the compiler reorder
/// sums or fuse multiplications.
macro_rules! wide {
    ($name:ident = $body:ident($($argument:ident: $kind:ty),*) -> $out:ty) => {
        fn $name($($argument: $kind),*) -> $out {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn avx2($($argument: $kind),*) -> $out {
                    $body($($argument),*)
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has AVX2.
                    return unsafe { avx2($($argument),*) };
                }
            }
            $body($($argument),*)
        }
    };
}
pub(crate) use wide;
