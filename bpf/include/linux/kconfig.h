/* BCC's prologue includes this file first; the filter needs no kernel configuration. */
#define CONFIG_BPF_SYSCALL 1
