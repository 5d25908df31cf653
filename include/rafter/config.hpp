// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#if !(defined(__GNUC__) || defined(__clang__))
#error "rafter: needs g++ >= 12 or clang++ >= 16 (vector extensions)"
#endif

/// Every lambda and helper on an evaluation path is forced inline: one that is not lets the value array of a plan
/// escape to memory, which costs 2-4x (the benchmark suite holds the ratio against a hand-written loop).
#define RAFTER_ALWAYS_INLINE [[gnu::always_inline]] inline
#define RAFTER_INLINE_LAMBDA __attribute__((always_inline))

/// Functions that run once per fold or per report: compiled for size, which is most of the time that a translation
/// unit with many predictors takes. Hot loops inside them stand in functions of their own (RAFTER_HOT).
#define RAFTER_COLD [[gnu::cold]]
#define RAFTER_HOT [[gnu::noinline]]

/// The instruction set that kernels on vectors of bytes are written for: the inline namespace they stand in, so that
/// translation units built for different targets do not share them (ODR).
#if defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512VBMI__)
#define RAFTER_BYTE_ISA bytes_avx512_vbmi
#elif defined(__AVX512BW__) && defined(__AVX512VL__)
#define RAFTER_BYTE_ISA bytes_avx512
#elif defined(__AVX2__)
#define RAFTER_BYTE_ISA bytes_avx2
#elif defined(__AVX__)
#define RAFTER_BYTE_ISA bytes_avx
#elif defined(__SSE2__)
#define RAFTER_BYTE_ISA bytes_sse2
#else
#define RAFTER_BYTE_ISA bytes_portable
#endif
