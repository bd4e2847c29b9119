/* Hides features of an x86-64 processor from the program that this is preloaded into, so that it
 * chooses the kernels of an older processor and runs them at native speed:
 *
 *     EDGECAP_CPU=Haswell LD_PRELOAD=./cpuid_mask.so python ...
 *
 * EDGECAP_CPU is Haswell (AVX2; no AVX-512, no VNNI, no AMX), AVX-VNNI (the same with AVX-VNNI, if
 * the processor has it) or Nehalem (SSE4.2; no AVX). Without the variable nothing is hidden.
 *
 * The kernel makes the instruction CPUID fault (arch_prctl, ARCH_SET_CPUID; flag cpuid_fault in
 * /proc/cpuinfo). The handler of the fault runs the instruction and clears bits of its answer.
 *
 * What it can't do: forbid the instructions themselves; hide features from the C library, which
 * asked before this was loaded (its mathematical functions may use FMA on a "Nehalem"); change
 * /proc/cpuinfo; survive a program that installs its own handler of SIGSEGV; reach programs that
 * are started by exec without LD_PRELOAD. */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef ARCH_SET_CPUID
#define ARCH_SET_CPUID 0x1012
#endif

#define BIT(n) (1u << (n))

enum { FAULTS = 0, ANSWERS = 1, CANNOT = 70 };

/* Leaf 1, ecx: FMA, XSAVE, OSXSAVE, AVX, F16C. */
static const uint32_t AVX_1C = BIT(12) | BIT(26) | BIT(27) | BIT(28) | BIT(29);
/* Leaf 7, ebx: BMI1, AVX2, BMI2. */
static const uint32_t AVX2_7B = BIT(3) | BIT(5) | BIT(8);
/* Leaf 7, ebx: AVX-512 F, DQ, IFMA, PF, ER, CD, BW, VL. */
static const uint32_t AVX512_7B =
    BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31);
/* Leaf 7, ecx: AVX-512 VBMI, VBMI2, GFNI, VAES, VPCLMULQDQ, AVX-512 VNNI, BITALG, VPOPCNTDQ. */
static const uint32_t AVX512_7C =
    BIT(1) | BIT(6) | BIT(8) | BIT(9) | BIT(10) | BIT(11) | BIT(12) | BIT(14);
/* Leaf 7, edx: AVX-512 4VNNIW, 4FMAPS, VP2INTERSECT, FP16; AMX BF16, TILE, INT8. */
static const uint32_t AVX512_7D =
    BIT(2) | BIT(3) | BIT(8) | BIT(22) | BIT(23) | BIT(24) | BIT(25);
/* Leaf 7, subleaf 1, eax: AVX-VNNI; AVX-512 BF16, AMX FP16, AVX-IFMA. */
static const uint32_t AVX_VNNI_71A = BIT(4);
static const uint32_t NEWER_71A = BIT(5) | BIT(21) | BIT(23);
/* Leaf 7, subleaf 1, edx: AVX-VNNI-INT8, AMX-COMPLEX, AVX-VNNI-INT16, AVX10. */
static const uint32_t NEWER_71D = BIT(4) | BIT(8) | BIT(10) | BIT(19);

static int avx_vnni;
static int nehalem;
static struct sigaction before;

static void answer(int number, siginfo_t *info, void *context) {
  (void)number;
  (void)info;
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  const uint8_t *code = (const uint8_t *)registers[REG_RIP];
  if (code[0] != 0x0f || code[1] != 0xa2) {
    /* No CPUID: a real fault, which happens again under the handler that was there before. */
    sigaction(SIGSEGV, &before, NULL);
    return;
  }
  uint32_t leaf = (uint32_t)registers[REG_RAX], subleaf = (uint32_t)registers[REG_RCX];
  uint32_t a = leaf, b, c = subleaf, d;
  /* The setting is the thread's own. */
  syscall(SYS_arch_prctl, ARCH_SET_CPUID, ANSWERS);
  __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  syscall(SYS_arch_prctl, ARCH_SET_CPUID, FAULTS);
  if (leaf == 1 && nehalem) c &= ~AVX_1C;
  if (leaf == 7 && subleaf == 0) {
    b &= ~(AVX512_7B | (nehalem ? AVX2_7B : 0));
    c &= ~AVX512_7C;
    d &= ~AVX512_7D;
  }
  if (leaf == 7 && subleaf == 1) {
    a &= ~(NEWER_71A | (avx_vnni ? 0 : AVX_VNNI_71A));
    d &= ~NEWER_71D;
  }
  registers[REG_RAX] = a;
  registers[REG_RBX] = b;
  registers[REG_RCX] = c;
  registers[REG_RDX] = d;
  registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void start(void) {
  const char *name = getenv("EDGECAP_CPU");
  if (name == NULL) return;
  avx_vnni = strcmp(name, "AVX-VNNI") == 0;
  nehalem = strcmp(name, "Nehalem") == 0;
  if (!avx_vnni && !nehalem && strcmp(name, "Haswell") != 0) {
    fprintf(stderr, "error: EDGECAP_CPU is %s; give Haswell, AVX-VNNI or Nehalem\n", name);
    _exit(CANNOT);
  }
  struct sigaction action = {0};
  action.sa_sigaction = answer;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGSEGV, &action, &before);
  if (syscall(SYS_arch_prctl, ARCH_SET_CPUID, FAULTS) != 0) {
    fprintf(stderr, "error: this kernel can't make CPUID fault\n");
    _exit(CANNOT);
  }
}
