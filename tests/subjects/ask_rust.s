# What Rust's compiler says of enums and slices. Made from ask_rust.rs, which says how.
# //$ build -Wa,--gdwarf-5
# //$ status 15
# //? print total '{items[0]}' => text /\{name = "one", shape = \{Rect = \{__0 = 2, __1 = 5\}\}, next = \{Some = \{__0 = 0x[0-9a-f]+\}\}, small = \{None = \{\}\}\}/
# //? print total '{items[1]} {only}' => text {name = "", shape = {Unit = {}}, next = {None = {}}, small = {Some = {__0 = false}}} {One = {__0 = 3}}
# //? print total '{*items[0].next.Some.__0}' => text {name = "first", shape = {Circle = {r = 2}}, next = {None = {}}, small = {Some = {__0 = true}}}
# //? print total '{far} {far[0].Low.__0} {far[1].Low} {items[1].next.Some}' => text {{Low = {__0 = 4}}, {High = {__0 = 5}}} 4 <it is High> <it is None>
# //? print total '{items[2]}' => text <it has 2 elements>
# //? print area '{*s}' => text[] {Rect = {__0 = 2, __1 = 5}} | {Unit = {}}
# //? calls total => args.only {One = {__0 = 3}}
	.file	"ask_rust.e24c12ffaeeb2129-cgu.0"
	.section	.text._RNvCsfLfy6EI15iL_7___rustc17rust_begin_unwind,"ax",@progbits
	.hidden	_RNvCsfLfy6EI15iL_7___rustc17rust_begin_unwind
	.globl	_RNvCsfLfy6EI15iL_7___rustc17rust_begin_unwind
	.p2align	4
	.type	_RNvCsfLfy6EI15iL_7___rustc17rust_begin_unwind,@function
_RNvCsfLfy6EI15iL_7___rustc17rust_begin_unwind:
.Lfunc_begin0:
	.file	1 "/tmp/rs" "ask_rust.rs"
	.loc	1 6 0
	.cfi_startproc
	movq	%rdi, -8(%rsp)
.LBB0_1:
.Ltmp0:
	.loc	1 6 45 prologue_end
	jmp	.LBB0_1
.Ltmp1:
.Lfunc_end0:
	.size	_RNvCsfLfy6EI15iL_7___rustc17rust_begin_unwind, .Lfunc_end0-_RNvCsfLfy6EI15iL_7___rustc17rust_begin_unwind
	.cfi_endproc

	.section	.text.area,"ax",@progbits
	.globl	area
	.p2align	4
	.type	area,@function
area:
.Lfunc_begin1:
	.loc	1 14 0
	.cfi_startproc
	movq	%rdi, -56(%rsp)
	movq	%rdi, -32(%rsp)
.Ltmp2:
	.loc	1 14 39 prologue_end
	movl	(%rdi), %eax
	movq	%rax, -48(%rsp)
	testq	%rax, %rax
	.loc	1 14 33 is_stmt 0
	je	.LBB1_2
	jmp	.LBB1_6
.LBB1_6:
	.loc	1 0 33
	movq	-48(%rsp), %rax
	.loc	1 14 33
	subq	$1, %rax
	je	.LBB1_3
	jmp	.LBB1_7
.LBB1_7:
	jmp	.LBB1_4
	.loc	1 14 39
	ud2
.LBB1_2:
	.loc	1 0 39
	movq	-56(%rsp), %rax
	.loc	1 14 59
	movq	%rax, %rcx
	addq	$4, %rcx
	movq	%rcx, -24(%rsp)
.Ltmp3:
	.loc	1 14 66
	imull	$3, 4(%rax), %eax
	movl	%eax, -36(%rsp)
.Ltmp4:
	.loc	1 14 71
	jmp	.LBB1_5
.LBB1_3:
	.loc	1 0 71
	movq	-56(%rsp), %rcx
	.loc	1 14 86
	movq	%rcx, %rax
	addq	$4, %rax
	movq	%rax, -16(%rsp)
	.loc	1 14 89
	movq	%rcx, %rax
	addq	$8, %rax
	movq	%rax, -8(%rsp)
.Ltmp5:
	.loc	1 14 95
	movl	4(%rcx), %eax
	addl	8(%rcx), %eax
	movl	%eax, -36(%rsp)
.Ltmp6:
	.loc	1 14 101
	jmp	.LBB1_5
.LBB1_4:
	.loc	1 14 119
	movl	$1, -36(%rsp)
.LBB1_5:
	.loc	1 14 124
	movl	-36(%rsp), %eax
	retq
.Ltmp7:
.Lfunc_end1:
	.size	area, .Lfunc_end1-area
	.cfi_endproc

	.section	.text.main,"ax",@progbits
	.globl	main
	.p2align	4
	.type	main,@function
main:
.Lfunc_begin2:
	.loc	1 24 0 is_stmt 1
	.cfi_startproc
	subq	$280, %rsp
	.cfi_def_cfa_offset 288
.Ltmp8:
	.loc	1 25 46 prologue_end
	movl	$2, 48(%rsp)
	movl	$0, 44(%rsp)
	.loc	1 25 17 is_stmt 0
	leaq	.Lanon.f6bfa238370618718eb1fb0ced3fb592.0(%rip), %rax
	movq	%rax, (%rsp)
	movq	$5, 8(%rsp)
	movq	44(%rsp), %rax
	movq	%rax, 24(%rsp)
	movl	52(%rsp), %eax
	movl	%eax, 32(%rsp)
	movq	$0, 16(%rsp)
	movb	$1, 36(%rsp)
.Ltmp9:
	.loc	1 26 45 is_stmt 1
	movl	$2, 184(%rsp)
	movl	$5, 188(%rsp)
	movl	$1, 180(%rsp)
	.loc	1 26 18 is_stmt 0
	leaq	.Lanon.f6bfa238370618718eb1fb0ced3fb592.1(%rip), %rax
	movq	%rax, 136(%rsp)
	movq	$3, 144(%rsp)
	movq	180(%rsp), %rax
	movq	%rax, 160(%rsp)
	movl	188(%rsp), %eax
	movl	%eax, 168(%rsp)
	movq	%rsp, %rax
	movq	%rax, 152(%rsp)
	movb	$2, 172(%rsp)
	.loc	1 26 123
	movl	$2, 236(%rsp)
	.loc	1 26 99
	movl	$1, %eax
	movq	%rax, 192(%rsp)
	movq	$0, 200(%rsp)
	movq	236(%rsp), %rax
	movq	%rax, 216(%rsp)
	movl	244(%rsp), %eax
	movl	%eax, 224(%rsp)
	movq	$0, 208(%rsp)
	movb	$0, 228(%rsp)
	.loc	1 26 17
	leaq	56(%rsp), %rdi
	leaq	136(%rsp), %rsi
	movl	$40, %edx
	callq	memcpy@PLT
	leaq	56(%rsp), %rdi
	addq	$40, %rdi
	leaq	192(%rsp), %rsi
	movl	$40, %edx
	callq	memcpy@PLT
.Ltmp10:
	.loc	1 27 33 is_stmt 1
	movq	$-2, 248(%rsp)
	movl	$4, 256(%rsp)
	movabsq	$1099511627776, %rax
	movq	%rax, 264(%rsp)
	movl	$5, 272(%rsp)
	.loc	1 27 5 is_stmt 0
	leaq	56(%rsp), %rdi
	movl	$2, %esi
	movl	$3, %edx
	leaq	248(%rsp), %rcx
	callq	total
.Ltmp11:
	.loc	1 28 2 epilogue_begin is_stmt 1
	addq	$280, %rsp
	.cfi_def_cfa_offset 8
	retq
.Ltmp12:
.Lfunc_end2:
	.size	main, .Lfunc_end2-main
	.cfi_endproc

	.section	.text.total,"ax",@progbits
	.globl	total
	.p2align	4
	.type	total,@function
total:
.Lfunc_begin3:
	.loc	1 17 0
	.cfi_startproc
	subq	$120, %rsp
	.cfi_def_cfa_offset 128
	movq	%rcx, %rax
	movq	%rsi, 24(%rsp)
	movq	%rdi, 32(%rsp)
	movb	%dl, %cl
	movb	%cl, 43(%rsp)
	movq	%rdi, 72(%rsp)
	movq	%rsi, 80(%rsp)
	movb	%cl, 94(%rsp)
.Ltmp13:
	.loc	1 18 19 prologue_end
	movb	%cl, 95(%rsp)
.Ltmp14:
	.loc	1 19 10
	movq	(%rax), %rcx
	movl	8(%rax), %eax
.Ltmp15:
	movq	%rcx, 48(%rsp)
	movl	%eax, 56(%rsp)
.Ltmp16:
	.loc	1 20 15
	cmpq	$-2, 48(%rsp)
	jne	.LBB3_2
	.loc	1 20 34 is_stmt 0
	movl	56(%rsp), %eax
	movl	%eax, 96(%rsp)
.Ltmp17:
	.loc	1 20 40
	movl	%eax, 68(%rsp)
.Ltmp18:
	.loc	1 20 40
	jmp	.LBB3_3
.LBB3_2:
	.loc	1 20 53
	movl	56(%rsp), %eax
	movl	%eax, 100(%rsp)
.Ltmp19:
	.loc	1 20 59
	movl	%eax, 68(%rsp)
.Ltmp20:
.LBB3_3:
	.loc	1 0 59
	movq	24(%rsp), %rax
.Ltmp21:
	.loc	1 21 12 is_stmt 1
	cmpq	$2, %rax
	je	.LBB3_5
.Ltmp22:
	.loc	1 21 87 is_stmt 0
	movl	$0, 44(%rsp)
	.loc	1 21 5
	jmp	.LBB3_6
.LBB3_5:
	.loc	1 0 5
	movq	32(%rsp), %rdi
	movb	43(%rsp), %al
.Ltmp23:
	.loc	1 21 13
	movq	%rdi, 104(%rsp)
	.loc	1 21 16
	movq	%rdi, %rcx
	addq	$40, %rcx
	movq	%rcx, 8(%rsp)
	movq	%rcx, 112(%rsp)
	.loc	1 21 29
	movzbl	%al, %eax
	addl	68(%rsp), %eax
	movl	%eax, 16(%rsp)
	.loc	1 21 51
	addq	$24, %rdi
	.loc	1 21 46
	callq	area
	movq	8(%rsp), %rdi
	movl	%eax, %ecx
	movl	16(%rsp), %eax
	.loc	1 21 29
	addl	%ecx, %eax
	movl	%eax, 20(%rsp)
	.loc	1 21 68
	addq	$24, %rdi
	.loc	1 21 63
	callq	area
	movl	%eax, %ecx
	movl	20(%rsp), %eax
	.loc	1 21 29
	addl	%ecx, %eax
	movl	%eax, 44(%rsp)
.Ltmp24:
.LBB3_6:
	.loc	1 22 2 is_stmt 1
	movl	44(%rsp), %eax
	.loc	1 22 2 epilogue_begin is_stmt 0
	addq	$120, %rsp
	.cfi_def_cfa_offset 8
	retq
.Ltmp25:
.Lfunc_end3:
	.size	total, .Lfunc_end3-total
	.cfi_endproc

	.type	.Lanon.f6bfa238370618718eb1fb0ced3fb592.0,@object
	.section	.rodata..Lanon.f6bfa238370618718eb1fb0ced3fb592.0,"a",@progbits
.Lanon.f6bfa238370618718eb1fb0ced3fb592.0:
	.ascii	"first"
	.size	.Lanon.f6bfa238370618718eb1fb0ced3fb592.0, 5

	.type	.Lanon.f6bfa238370618718eb1fb0ced3fb592.1,@object
	.section	.rodata..Lanon.f6bfa238370618718eb1fb0ced3fb592.1,"a",@progbits
.Lanon.f6bfa238370618718eb1fb0ced3fb592.1:
	.ascii	"one"
	.size	.Lanon.f6bfa238370618718eb1fb0ced3fb592.1, 3

	.type	__rustc_debug_gdb_scripts_section__,@object
	.section	.debug_gdb_scripts,"aMS",@progbits,1,unique,1
	.weak	__rustc_debug_gdb_scripts_section__
__rustc_debug_gdb_scripts_section__:
	.asciz	"\001gdb_load_rust_pretty_printers.py"
	.size	__rustc_debug_gdb_scripts_section__, 34

	.section	.debug_loc,"",@progbits
.Ldebug_loc0:
	.quad	-1
	.quad	.Lfunc_begin3
	.quad	.Ltmp13-.Lfunc_begin3
	.quad	.Ltmp15-.Lfunc_begin3
	.short	2
	.byte	112
	.byte	0
	.quad	0
	.quad	0
	.section	.debug_abbrev,"",@progbits
	.byte	1
	.byte	17
	.byte	1
	.byte	37
	.byte	14
	.byte	19
	.byte	5
	.byte	3
	.byte	14
	.byte	16
	.byte	23
	.byte	27
	.byte	14
	.byte	17
	.byte	1
	.byte	85
	.byte	23
	.byte	0
	.byte	0
	.byte	2
	.byte	57
	.byte	1
	.byte	3
	.byte	14
	.byte	0
	.byte	0
	.byte	3
	.byte	46
	.byte	1
	.byte	17
	.byte	1
	.byte	18
	.byte	6
	.byte	64
	.byte	24
	.byte	110
	.byte	14
	.byte	3
	.byte	14
	.byte	58
	.byte	11
	.byte	59
	.byte	11
	.ascii	"\207\001"
	.byte	25
	.byte	0
	.byte	0
	.byte	4
	.byte	5
	.byte	0
	.byte	2
	.byte	24
	.byte	58
	.byte	11
	.byte	59
	.byte	11
	.byte	73
	.byte	19
	.byte	0
	.byte	0
	.byte	5
	.byte	46
	.byte	1
	.byte	17
	.byte	1
	.byte	18
	.byte	6
	.byte	64
	.byte	24
	.byte	3
	.byte	14
	.byte	58
	.byte	11
	.byte	59
	.byte	11
	.byte	73
	.byte	19
	.byte	63
	.byte	25
	.byte	0
	.byte	0
	.byte	6
	.byte	5
	.byte	0
	.byte	2
	.byte	24
	.byte	3
	.byte	14
	.byte	58
	.byte	11
	.byte	59
	.byte	11
	.byte	73
	.byte	19
	.byte	0
	.byte	0
	.byte	7
	.byte	11
	.byte	1
	.byte	17
	.byte	1
	.byte	18
	.byte	6
	.byte	0
	.byte	0
	.byte	8
	.byte	52
	.byte	0
	.byte	2
	.byte	24
	.byte	3
	.byte	14
	.ascii	"\210\001"
	.byte	15
	.byte	58
	.byte	11
	.byte	59
	.byte	11
	.byte	73
	.byte	19
	.byte	0
	.byte	0
	.byte	9
	.byte	5
	.byte	0
	.byte	2
	.byte	23
	.byte	3
	.byte	14
	.byte	58
	.byte	11
	.byte	59
	.byte	11
	.byte	73
	.byte	19
	.byte	0
	.byte	0
	.byte	10
	.byte	11
	.byte	1
	.byte	85
	.byte	23
	.byte	0
	.byte	0
	.byte	11
	.byte	19
	.byte	1
	.byte	3
	.byte	14
	.byte	11
	.byte	11
	.byte	50
	.byte	11
	.ascii	"\210\001"
	.byte	15
	.byte	0
	.byte	0
	.byte	12
	.byte	51
	.byte	1
	.byte	21
	.byte	19
	.byte	0
	.byte	0
	.byte	13
	.byte	13
	.byte	0
	.byte	73
	.byte	19
	.ascii	"\210\001"
	.byte	15
	.byte	56
	.byte	11
	.byte	52
	.byte	25
	.byte	0
	.byte	0
	.byte	14
	.byte	25
	.byte	1
	.byte	22
	.byte	11
	.byte	0
	.byte	0
	.byte	15
	.byte	13
	.byte	0
	.byte	3
	.byte	14
	.byte	73
	.byte	19
	.ascii	"\210\001"
	.byte	15
	.byte	56
	.byte	11
	.byte	0
	.byte	0
	.byte	16
	.byte	13
	.byte	0
	.byte	3
	.byte	14
	.byte	73
	.byte	19
	.ascii	"\210\001"
	.byte	15
	.byte	56
	.byte	11
	.byte	50
	.byte	11
	.byte	0
	.byte	0
	.byte	17
	.byte	19
	.byte	0
	.byte	3
	.byte	14
	.byte	11
	.byte	11
	.byte	50
	.byte	11
	.ascii	"\210\001"
	.byte	15
	.byte	0
	.byte	0
	.byte	18
	.byte	51
	.byte	1
	.byte	0
	.byte	0
	.byte	19
	.byte	25
	.byte	1
	.byte	0
	.byte	0
	.byte	20
	.byte	25
	.byte	1
	.byte	22
	.byte	7
	.byte	0
	.byte	0
	.byte	21
	.byte	36
	.byte	0
	.byte	3
	.byte	14
	.byte	62
	.byte	11
	.byte	11
	.byte	11
	.byte	0
	.byte	0
	.byte	22
	.byte	15
	.byte	0
	.byte	73
	.byte	19
	.byte	3
	.byte	14
	.byte	51
	.byte	6
	.byte	0
	.byte	0
	.byte	23
	.byte	47
	.byte	0
	.byte	73
	.byte	19
	.byte	3
	.byte	14
	.byte	0
	.byte	0
	.byte	24
	.byte	21
	.byte	1
	.byte	73
	.byte	19
	.byte	0
	.byte	0
	.byte	25
	.byte	5
	.byte	0
	.byte	73
	.byte	19
	.byte	0
	.byte	0
	.byte	26
	.byte	19
	.byte	1
	.byte	3
	.byte	14
	.byte	11
	.byte	11
	.ascii	"\210\001"
	.byte	15
	.byte	0
	.byte	0
	.byte	27
	.byte	15
	.byte	0
	.byte	73
	.byte	19
	.byte	51
	.byte	6
	.byte	0
	.byte	0
	.byte	28
	.byte	19
	.byte	0
	.byte	3
	.byte	14
	.byte	11
	.byte	11
	.ascii	"\210\001"
	.byte	15
	.byte	0
	.byte	0
	.byte	29
	.byte	1
	.byte	1
	.byte	73
	.byte	19
	.byte	0
	.byte	0
	.byte	30
	.byte	33
	.byte	0
	.byte	73
	.byte	19
	.byte	34
	.byte	13
	.byte	55
	.byte	11
	.byte	0
	.byte	0
	.byte	31
	.byte	36
	.byte	0
	.byte	3
	.byte	14
	.byte	11
	.byte	11
	.byte	62
	.byte	11
	.byte	0
	.byte	0
	.byte	0
	.section	.debug_info,"",@progbits
.Lcu_begin0:
	.long	.Ldebug_info_end0-.Ldebug_info_start0
.Ldebug_info_start0:
	.short	4
	.long	.debug_abbrev
	.byte	8
	.byte	1
	.long	.Linfo_string0
	.short	28
	.long	.Linfo_string1
	.long	.Lline_table_start0
	.long	.Linfo_string2
	.quad	0
	.long	.Ldebug_ranges1
	.byte	2
	.long	.Linfo_string3
	.byte	3
	.quad	.Lfunc_begin0
	.long	.Lfunc_end0-.Lfunc_begin0
	.byte	1
	.byte	87
	.long	.Linfo_string4
	.long	.Linfo_string5
	.byte	1
	.byte	6

	.byte	4
	.byte	2
	.byte	145
	.byte	120
	.byte	1
	.byte	6
	.long	873
	.byte	0
	.byte	5
	.quad	.Lfunc_begin1
	.long	.Lfunc_end1-.Lfunc_begin1
	.byte	1
	.byte	87
	.long	.Linfo_string6
	.byte	1
	.byte	14
	.long	866

	.byte	6
	.byte	2
	.byte	145
	.byte	96
	.long	.Linfo_string85
	.byte	1
	.byte	14
	.long	2116
	.byte	7
	.quad	.Ltmp3
	.long	.Ltmp4-.Ltmp3
	.byte	8
	.byte	2
	.byte	145
	.byte	104
	.long	.Linfo_string87
	.byte	8
	.byte	1
	.byte	14
	.long	2129
	.byte	0
	.byte	7
	.quad	.Ltmp5
	.long	.Ltmp6-.Ltmp5
	.byte	8
	.byte	2
	.byte	145
	.byte	112
	.long	.Linfo_string94
	.byte	8
	.byte	1
	.byte	14
	.long	2129
	.byte	8
	.byte	2
	.byte	145
	.byte	120
	.long	.Linfo_string95
	.byte	8
	.byte	1
	.byte	14
	.long	2129
	.byte	0
	.byte	0
	.byte	5
	.quad	.Lfunc_begin2
	.long	.Lfunc_end2-.Lfunc_begin2
	.byte	1
	.byte	87
	.long	.Linfo_string8
	.byte	1
	.byte	24
	.long	866

	.byte	7
	.quad	.Ltmp9
	.long	.Ltmp11-.Ltmp9
	.byte	8
	.byte	2
	.byte	145
	.byte	0
	.long	.Linfo_string96
	.byte	8
	.byte	1
	.byte	25
	.long	664
	.byte	7
	.quad	.Ltmp10
	.long	.Ltmp11-.Ltmp10
	.byte	8
	.byte	2
	.byte	145
	.byte	56
	.long	.Linfo_string108
	.byte	8
	.byte	1
	.byte	26
	.long	2155
	.byte	0
	.byte	0
	.byte	0
	.byte	5
	.quad	.Lfunc_begin3
	.long	.Lfunc_end3-.Lfunc_begin3
	.byte	1
	.byte	87
	.long	.Linfo_string9
	.byte	1
	.byte	17
	.long	866

	.byte	6
	.byte	3
	.byte	145
	.asciz	"\310"
	.long	.Linfo_string108
	.byte	1
	.byte	17
	.long	2168
	.byte	6
	.byte	3
	.byte	145
	.asciz	"\336"
	.long	.Linfo_string110
	.byte	1
	.byte	17
	.long	721
	.byte	9
	.long	.Ldebug_loc0
	.long	.Linfo_string122
	.byte	1
	.byte	17
	.long	2214
	.byte	7
	.quad	.Ltmp14
	.long	.Ltmp24-.Ltmp14
	.byte	8
	.byte	3
	.byte	145
	.asciz	"\337"
	.long	.Linfo_string118
	.byte	1
	.byte	1
	.byte	18
	.long	1812
	.byte	7
	.quad	.Ltmp16
	.long	.Ltmp24-.Ltmp16
	.byte	8
	.byte	2
	.byte	145
	.byte	48
	.long	.Linfo_string94
	.byte	8
	.byte	1
	.byte	19
	.long	766
	.byte	7
	.quad	.Ltmp17
	.long	.Ltmp18-.Ltmp17
	.byte	8
	.byte	3
	.byte	145
	.asciz	"\340"
	.long	.Linfo_string119
	.byte	4
	.byte	1
	.byte	20
	.long	866
	.byte	0
	.byte	7
	.quad	.Ltmp19
	.long	.Ltmp20-.Ltmp19
	.byte	8
	.byte	3
	.byte	145
	.asciz	"\344"
	.long	.Linfo_string119
	.byte	4
	.byte	1
	.byte	20
	.long	866
	.byte	0
	.byte	7
	.quad	.Ltmp21
	.long	.Ltmp24-.Ltmp21
	.byte	8
	.byte	3
	.byte	145
	.asciz	"\304"
	.long	.Linfo_string117
	.byte	4
	.byte	1
	.byte	20
	.long	866
	.byte	10
	.long	.Ldebug_ranges0
	.byte	8
	.byte	3
	.byte	145
	.asciz	"\350"
	.long	.Linfo_string120
	.byte	8
	.byte	1
	.byte	21
	.long	2142
	.byte	8
	.byte	3
	.byte	145
	.asciz	"\360"
	.long	.Linfo_string121
	.byte	8
	.byte	1
	.byte	21
	.long	2142
	.byte	0
	.byte	0
	.byte	0
	.byte	0
	.byte	0
	.byte	11
	.long	.Linfo_string91
	.byte	12
	.byte	1
	.byte	4
	.byte	12
	.long	551
	.byte	13
	.long	1901
	.byte	4
	.byte	0

	.byte	14
	.byte	0
	.byte	15
	.long	.Linfo_string86
	.long	601
	.byte	4
	.byte	0
	.byte	0
	.byte	14
	.byte	1
	.byte	15
	.long	.Linfo_string88
	.long	622
	.byte	4
	.byte	0
	.byte	0
	.byte	14
	.byte	2
	.byte	15
	.long	.Linfo_string90
	.long	655
	.byte	4
	.byte	0
	.byte	0
	.byte	0
	.byte	11
	.long	.Linfo_string86
	.byte	12
	.byte	1
	.byte	4
	.byte	16
	.long	.Linfo_string87
	.long	866
	.byte	4
	.byte	4
	.byte	1
	.byte	0
	.byte	11
	.long	.Linfo_string88
	.byte	12
	.byte	1
	.byte	4
	.byte	16
	.long	.Linfo_string36
	.long	866
	.byte	4
	.byte	4
	.byte	1
	.byte	16
	.long	.Linfo_string89
	.long	866
	.byte	4
	.byte	8
	.byte	1
	.byte	0
	.byte	17
	.long	.Linfo_string90
	.byte	12
	.byte	1
	.byte	4
	.byte	0
	.byte	11
	.long	.Linfo_string107
	.byte	40
	.byte	1
	.byte	8
	.byte	16
	.long	.Linfo_string97
	.long	2079
	.byte	8
	.byte	0
	.byte	3
	.byte	16
	.long	.Linfo_string98
	.long	538
	.byte	4
	.byte	24
	.byte	3
	.byte	16
	.long	.Linfo_string99
	.long	1603
	.byte	8
	.byte	16
	.byte	3
	.byte	16
	.long	.Linfo_string105
	.long	1700
	.byte	1
	.byte	36
	.byte	3
	.byte	0
	.byte	11
	.long	.Linfo_string112
	.byte	1
	.byte	1
	.byte	1
	.byte	18
	.byte	19
	.byte	15
	.long	.Linfo_string111
	.long	744
	.byte	1
	.byte	0
	.byte	0
	.byte	0
	.byte	11
	.long	.Linfo_string111
	.byte	1
	.byte	1
	.byte	1
	.byte	16
	.long	.Linfo_string36
	.long	1812
	.byte	1
	.byte	0
	.byte	1
	.byte	0
	.byte	0
	.byte	11
	.long	.Linfo_string116
	.byte	16
	.byte	1
	.byte	8
	.byte	12
	.long	779
	.byte	13
	.long	2207
	.byte	8
	.byte	0

	.byte	14
	.byte	-2
	.byte	15
	.long	.Linfo_string114
	.long	822
	.byte	8
	.byte	0
	.byte	0
	.byte	20
	.quad	1099511627776
	.byte	15
	.long	.Linfo_string115
	.long	843
	.byte	8
	.byte	0
	.byte	0
	.byte	0
	.byte	11
	.long	.Linfo_string114
	.byte	16
	.byte	1
	.byte	8
	.byte	16
	.long	.Linfo_string36
	.long	866
	.byte	4
	.byte	8
	.byte	1
	.byte	0
	.byte	11
	.long	.Linfo_string115
	.byte	16
	.byte	1
	.byte	8
	.byte	16
	.long	.Linfo_string36
	.long	866
	.byte	4
	.byte	8
	.byte	1
	.byte	0
	.byte	0
	.byte	0
	.byte	21
	.long	.Linfo_string7
	.byte	5
	.byte	4
	.byte	22
	.long	901
	.long	.Linfo_string84
	.long	0
	.byte	2
	.long	.Linfo_string10
	.byte	2
	.long	.Linfo_string5
	.byte	2
	.long	.Linfo_string11
	.byte	11
	.long	.Linfo_string83
	.byte	24
	.byte	1
	.byte	8
	.byte	16
	.long	.Linfo_string12
	.long	1799
	.byte	8
	.byte	0
	.byte	3
	.byte	16
	.long	.Linfo_string67
	.long	2027
	.byte	8
	.byte	8
	.byte	3
	.byte	16
	.long	.Linfo_string80
	.long	2109
	.byte	1
	.byte	16
	.byte	3
	.byte	16
	.long	.Linfo_string82
	.long	2109
	.byte	1
	.byte	17
	.byte	3
	.byte	0
	.byte	0
	.byte	2
	.long	.Linfo_string67
	.byte	11
	.long	.Linfo_string78
	.byte	24
	.byte	1
	.byte	8
	.byte	16
	.long	.Linfo_string68
	.long	1390
	.byte	8
	.byte	0
	.byte	3
	.byte	16
	.long	.Linfo_string73
	.long	1901
	.byte	4
	.byte	16
	.byte	3
	.byte	16
	.long	.Linfo_string74
	.long	1901
	.byte	4
	.byte	20
	.byte	3
	.byte	16
	.long	.Linfo_string75
	.long	1579
	.byte	1
	.byte	24
	.byte	3
	.byte	0
	.byte	0
	.byte	0
	.byte	2
	.long	.Linfo_string13
	.byte	11
	.long	.Linfo_string65
	.byte	16
	.byte	1
	.byte	8
	.byte	16
	.long	.Linfo_string14
	.long	1300
	.byte	8
	.byte	0
	.byte	3
	.byte	16
	.long	.Linfo_string22
	.long	1330
	.byte	8
	.byte	8
	.byte	3
	.byte	0
	.byte	2
	.long	.Linfo_string23
	.byte	11
	.long	.Linfo_string62
	.byte	16
	.byte	1
	.byte	8
	.byte	16
	.long	.Linfo_string24
	.long	1087
	.byte	8
	.byte	0
	.byte	3
	.byte	0
	.byte	11
	.long	.Linfo_string61
	.byte	16
	.byte	3
	.byte	8
	.byte	12
	.long	1100
	.byte	13
	.long	1832
	.byte	8
	.byte	0

	.byte	19
	.byte	15
	.long	.Linfo_string26
	.long	1135
	.byte	8
	.byte	0
	.byte	0
	.byte	14
	.byte	0
	.byte	15
	.long	.Linfo_string60
	.long	1180
	.byte	8
	.byte	0
	.byte	0
	.byte	0
	.byte	11
	.long	.Linfo_string26
	.byte	16
	.byte	3
	.byte	8
	.byte	16
	.long	.Linfo_string27
	.long	1360
	.byte	8
	.byte	0
	.byte	3
	.byte	16
	.long	.Linfo_string31
	.long	1859
	.byte	8
	.byte	8
	.byte	3
	.byte	16
	.long	.Linfo_string56
	.long	1561
	.byte	1
	.byte	16
	.byte	3
	.byte	0
	.byte	11
	.long	.Linfo_string60
	.byte	16
	.byte	3
	.byte	8
	.byte	16
	.long	.Linfo_string36
	.long	1908
	.byte	2
	.byte	8
	.byte	3
	.byte	0
	.byte	0
	.byte	0
	.byte	17
	.long	.Linfo_string34
	.byte	0
	.byte	1
	.byte	1
	.byte	11
	.long	.Linfo_string53
	.byte	24
	.byte	1
	.byte	8
	.byte	16
	.long	.Linfo_string39
	.long	1244
	.byte	4
	.byte	16
	.byte	3
	.byte	16
	.long	.Linfo_string46
	.long	1915
	.byte	8
	.byte	0
	.byte	3
	.byte	0
	.byte	11
	.long	.Linfo_string45
	.byte	8
	.byte	1
	.byte	4
	.byte	16
	.long	.Linfo_string40
	.long	1901
	.byte	4
	.byte	0
	.byte	3
	.byte	16
	.long	.Linfo_string42
	.long	1908
	.byte	2
	.byte	4
	.byte	3
	.byte	16
	.long	.Linfo_string44
	.long	1908
	.byte	2
	.byte	6
	.byte	3
	.byte	0
	.byte	0
	.byte	2
	.long	.Linfo_string15
	.byte	2
	.long	.Linfo_string16
	.byte	11
	.long	.Linfo_string21
	.byte	8
	.byte	1
	.byte	8
	.byte	23
	.long	1812
	.long	.Linfo_string18
	.byte	16
	.long	.Linfo_string19
	.long	1819
	.byte	8
	.byte	0
	.byte	3
	.byte	0
	.byte	11
	.long	.Linfo_string64
	.byte	8
	.byte	1
	.byte	8
	.byte	23
	.long	1066
	.long	.Linfo_string18
	.byte	16
	.long	.Linfo_string19
	.long	2014
	.byte	8
	.byte	0
	.byte	3
	.byte	0
	.byte	11
	.long	.Linfo_string30
	.byte	8
	.byte	1
	.byte	8
	.byte	23
	.long	1839
	.long	.Linfo_string18
	.byte	16
	.long	.Linfo_string19
	.long	1846
	.byte	8
	.byte	0
	.byte	3
	.byte	0
	.byte	11
	.long	.Linfo_string72
	.byte	16
	.byte	1
	.byte	8
	.byte	23
	.long	1812
	.long	.Linfo_string18
	.byte	16
	.long	.Linfo_string19
	.long	2040
	.byte	8
	.byte	0
	.byte	3
	.byte	0
	.byte	0
	.byte	0
	.byte	2
	.long	.Linfo_string32
	.byte	11
	.long	.Linfo_string38
	.byte	1
	.byte	1
	.byte	1
	.byte	12
	.long	1440
	.byte	13
	.long	1812
	.byte	1
	.byte	0

	.byte	14
	.byte	0
	.byte	15
	.long	.Linfo_string33
	.long	1476
	.byte	1
	.byte	0
	.byte	0
	.byte	14
	.byte	1
	.byte	15
	.long	.Linfo_string37
	.long	1515
	.byte	1
	.byte	0
	.byte	0
	.byte	0
	.byte	11
	.long	.Linfo_string33
	.byte	1
	.byte	1
	.byte	1
	.byte	23
	.long	1839
	.long	.Linfo_string18
	.byte	23
	.long	1203
	.long	.Linfo_string35
	.byte	16
	.long	.Linfo_string36
	.long	1839
	.byte	1
	.byte	1
	.byte	1
	.byte	0
	.byte	11
	.long	.Linfo_string37
	.byte	1
	.byte	1
	.byte	1
	.byte	23
	.long	1839
	.long	.Linfo_string18
	.byte	23
	.long	1203
	.long	.Linfo_string35
	.byte	16
	.long	.Linfo_string36
	.long	1203
	.byte	1
	.byte	1
	.byte	1
	.byte	0
	.byte	0
	.byte	0
	.byte	2
	.long	.Linfo_string57
	.byte	11
	.long	.Linfo_string59
	.byte	0
	.byte	1
	.byte	1
	.byte	23
	.long	2001
	.long	.Linfo_string18
	.byte	0
	.byte	11
	.long	.Linfo_string77
	.byte	0
	.byte	1
	.byte	1
	.byte	23
	.long	2079
	.long	.Linfo_string18
	.byte	0
	.byte	0
	.byte	2
	.long	.Linfo_string100
	.byte	11
	.long	.Linfo_string104
	.byte	8
	.byte	1
	.byte	8
	.byte	12
	.long	1616
	.byte	13
	.long	1832
	.byte	8
	.byte	0

	.byte	14
	.byte	0
	.byte	15
	.long	.Linfo_string101
	.long	1651
	.byte	8
	.byte	0
	.byte	0
	.byte	19
	.byte	15
	.long	.Linfo_string103
	.long	1669
	.byte	8
	.byte	0
	.byte	0
	.byte	0
	.byte	11
	.long	.Linfo_string101
	.byte	8
	.byte	1
	.byte	8
	.byte	23
	.long	2142
	.long	.Linfo_string18
	.byte	0
	.byte	11
	.long	.Linfo_string103
	.byte	8
	.byte	1
	.byte	8
	.byte	23
	.long	2142
	.long	.Linfo_string18
	.byte	16
	.long	.Linfo_string36
	.long	2142
	.byte	8
	.byte	0
	.byte	1
	.byte	0
	.byte	0
	.byte	11
	.long	.Linfo_string106
	.byte	1
	.byte	1
	.byte	1
	.byte	12
	.long	1713
	.byte	13
	.long	1812
	.byte	1
	.byte	0

	.byte	14
	.byte	2
	.byte	15
	.long	.Linfo_string101
	.long	1748
	.byte	1
	.byte	0
	.byte	0
	.byte	19
	.byte	15
	.long	.Linfo_string103
	.long	1766
	.byte	1
	.byte	0
	.byte	0
	.byte	0
	.byte	11
	.long	.Linfo_string101
	.byte	1
	.byte	1
	.byte	1
	.byte	23
	.long	2109
	.long	.Linfo_string18
	.byte	0
	.byte	11
	.long	.Linfo_string103
	.byte	1
	.byte	1
	.byte	1
	.byte	23
	.long	2109
	.long	.Linfo_string18
	.byte	16
	.long	.Linfo_string36
	.long	2109
	.byte	1
	.byte	0
	.byte	1
	.byte	0
	.byte	0
	.byte	0
	.byte	0
	.byte	22
	.long	1028
	.long	.Linfo_string66
	.long	0
	.byte	21
	.long	.Linfo_string17
	.byte	7
	.byte	1
	.byte	22
	.long	1812
	.long	.Linfo_string20
	.long	0
	.byte	21
	.long	.Linfo_string25
	.byte	7
	.byte	8
	.byte	21
	.long	.Linfo_string28
	.byte	7
	.byte	0
	.byte	22
	.long	1839
	.long	.Linfo_string29
	.long	0
	.byte	22
	.long	1872
	.long	.Linfo_string55
	.long	0
	.byte	24
	.long	1427
	.byte	25
	.long	1360
	.byte	25
	.long	1888
	.byte	0
	.byte	22
	.long	1211
	.long	.Linfo_string54
	.long	0
	.byte	21
	.long	.Linfo_string41
	.byte	7
	.byte	4
	.byte	21
	.long	.Linfo_string43
	.byte	7
	.byte	2
	.byte	26
	.long	.Linfo_string52
	.byte	16
	.byte	8
	.byte	15
	.long	.Linfo_string19
	.long	1945
	.byte	8
	.byte	0
	.byte	15
	.long	.Linfo_string48
	.long	1961
	.byte	8
	.byte	8
	.byte	0
	.byte	27
	.long	1954
	.long	0
	.byte	28
	.long	.Linfo_string47
	.byte	0
	.byte	1
	.byte	22
	.long	1974
	.long	.Linfo_string51
	.long	0
	.byte	29
	.long	1987
	.byte	30
	.long	1994
	.byte	0
	.byte	6
	.byte	0
	.byte	21
	.long	.Linfo_string49
	.byte	7
	.byte	8
	.byte	31
	.long	.Linfo_string50
	.byte	8
	.byte	7
	.byte	22
	.long	1839
	.long	.Linfo_string58
	.long	0
	.byte	22
	.long	1066
	.long	.Linfo_string63
	.long	0
	.byte	22
	.long	964
	.long	.Linfo_string79
	.long	0
	.byte	26
	.long	.Linfo_string71
	.byte	16
	.byte	8
	.byte	15
	.long	.Linfo_string69
	.long	2070
	.byte	8
	.byte	0
	.byte	15
	.long	.Linfo_string70
	.long	1987
	.byte	8
	.byte	8
	.byte	0
	.byte	27
	.long	1812
	.long	0
	.byte	26
	.long	.Linfo_string76
	.byte	16
	.byte	8
	.byte	15
	.long	.Linfo_string69
	.long	2070
	.byte	8
	.byte	0
	.byte	15
	.long	.Linfo_string70
	.long	1987
	.byte	8
	.byte	8
	.byte	0
	.byte	21
	.long	.Linfo_string81
	.byte	2
	.byte	1
	.byte	22
	.long	538
	.long	.Linfo_string92
	.long	0
	.byte	22
	.long	866
	.long	.Linfo_string93
	.long	0
	.byte	22
	.long	664
	.long	.Linfo_string102
	.long	0
	.byte	29
	.long	664
	.byte	30
	.long	1994
	.byte	0
	.byte	2
	.byte	0
	.byte	26
	.long	.Linfo_string109
	.byte	16
	.byte	8
	.byte	15
	.long	.Linfo_string69
	.long	2198
	.byte	8
	.byte	0
	.byte	15
	.long	.Linfo_string70
	.long	1987
	.byte	8
	.byte	8
	.byte	0
	.byte	27
	.long	664
	.long	0
	.byte	21
	.long	.Linfo_string113
	.byte	5
	.byte	8
	.byte	29
	.long	766
	.byte	30
	.long	1994
	.byte	0
	.byte	2
	.byte	0
	.byte	0
.Ldebug_info_end0:
	.section	.text._RNvCsfLfy6EI15iL_7___rustc17rust_begin_unwind,"ax",@progbits
.Lsec_end0:
	.section	.text.area,"ax",@progbits
.Lsec_end1:
	.section	.text.main,"ax",@progbits
.Lsec_end2:
	.section	.text.total,"ax",@progbits
.Lsec_end3:
	.section	.debug_aranges,"",@progbits
	.long	92
	.short	2
	.long	.Lcu_begin0
	.byte	8
	.byte	0
	.zero	4,255
	.quad	.Lfunc_begin0
	.quad	.Lsec_end0-.Lfunc_begin0
	.quad	.Lfunc_begin1
	.quad	.Lsec_end1-.Lfunc_begin1
	.quad	.Lfunc_begin2
	.quad	.Lsec_end2-.Lfunc_begin2
	.quad	.Lfunc_begin3
	.quad	.Lsec_end3-.Lfunc_begin3
	.quad	0
	.quad	0
	.section	.debug_ranges,"",@progbits
.Ldebug_ranges0:
	.quad	.Ltmp21
	.quad	.Ltmp22
	.quad	.Ltmp23
	.quad	.Ltmp24
	.quad	0
	.quad	0
.Ldebug_ranges1:
	.quad	.Lfunc_begin0
	.quad	.Lfunc_end0
	.quad	.Lfunc_begin1
	.quad	.Lfunc_end1
	.quad	.Lfunc_begin2
	.quad	.Lfunc_end2
	.quad	.Lfunc_begin3
	.quad	.Lfunc_end3
	.quad	0
	.quad	0
	.section	.debug_str,"MS",@progbits,1
.Linfo_string0:
	.asciz	"clang LLVM (rustc version 1.95.0 (59807616e 2026-04-14))"
.Linfo_string1:
	.asciz	"ask_rust.rs/@/ask_rust.e24c12ffaeeb2129-cgu.0"
.Linfo_string2:
	.asciz	"/tmp/rs"
.Linfo_string3:
	.asciz	"ask_rust"
.Linfo_string4:
	.asciz	"_RNvCsfLfy6EI15iL_7___rustc17rust_begin_unwind"
.Linfo_string5:
	.asciz	"panic"
.Linfo_string6:
	.asciz	"area"
.Linfo_string7:
	.asciz	"i32"
.Linfo_string8:
	.asciz	"main"
.Linfo_string9:
	.asciz	"total"
.Linfo_string10:
	.asciz	"core"
.Linfo_string11:
	.asciz	"panic_info"
.Linfo_string12:
	.asciz	"message"
.Linfo_string13:
	.asciz	"fmt"
.Linfo_string14:
	.asciz	"template"
.Linfo_string15:
	.asciz	"ptr"
.Linfo_string16:
	.asciz	"non_null"
.Linfo_string17:
	.asciz	"u8"
.Linfo_string18:
	.asciz	"T"
.Linfo_string19:
	.asciz	"pointer"
.Linfo_string20:
	.asciz	"*const u8"
.Linfo_string21:
	.asciz	"NonNull<u8>"
.Linfo_string22:
	.asciz	"args"
.Linfo_string23:
	.asciz	"rt"
.Linfo_string24:
	.asciz	"ty"
.Linfo_string25:
	.asciz	"u64"
.Linfo_string26:
	.asciz	"Placeholder"
.Linfo_string27:
	.asciz	"value"
.Linfo_string28:
	.asciz	"()"
.Linfo_string29:
	.asciz	"*const ()"
.Linfo_string30:
	.asciz	"NonNull<()>"
.Linfo_string31:
	.asciz	"formatter"
.Linfo_string32:
	.asciz	"result"
.Linfo_string33:
	.asciz	"Ok"
.Linfo_string34:
	.asciz	"Error"
.Linfo_string35:
	.asciz	"E"
.Linfo_string36:
	.asciz	"__0"
.Linfo_string37:
	.asciz	"Err"
.Linfo_string38:
	.asciz	"Result<(), core::fmt::Error>"
.Linfo_string39:
	.asciz	"options"
.Linfo_string40:
	.asciz	"flags"
.Linfo_string41:
	.asciz	"u32"
.Linfo_string42:
	.asciz	"width"
.Linfo_string43:
	.asciz	"u16"
.Linfo_string44:
	.asciz	"precision"
.Linfo_string45:
	.asciz	"FormattingOptions"
.Linfo_string46:
	.asciz	"buf"
.Linfo_string47:
	.asciz	"dyn core::fmt::Write"
.Linfo_string48:
	.asciz	"vtable"
.Linfo_string49:
	.asciz	"usize"
.Linfo_string50:
	.asciz	"__ARRAY_SIZE_TYPE__"
.Linfo_string51:
	.asciz	"&[usize; 6]"
.Linfo_string52:
	.asciz	"&mut dyn core::fmt::Write"
.Linfo_string53:
	.asciz	"Formatter"
.Linfo_string54:
	.asciz	"&mut core::fmt::Formatter"
.Linfo_string55:
	.asciz	"unsafe fn(core::ptr::non_null::NonNull<()>, &mut core::fmt::Formatter) -> core::result::Result<(), core::fmt::Error>"
.Linfo_string56:
	.asciz	"_lifetime"
.Linfo_string57:
	.asciz	"marker"
.Linfo_string58:
	.asciz	"&()"
.Linfo_string59:
	.asciz	"PhantomData<&()>"
.Linfo_string60:
	.asciz	"Count"
.Linfo_string61:
	.asciz	"ArgumentType"
.Linfo_string62:
	.asciz	"Argument"
.Linfo_string63:
	.asciz	"*const core::fmt::rt::Argument"
.Linfo_string64:
	.asciz	"NonNull<core::fmt::rt::Argument>"
.Linfo_string65:
	.asciz	"Arguments"
.Linfo_string66:
	.asciz	"&core::fmt::Arguments"
.Linfo_string67:
	.asciz	"location"
.Linfo_string68:
	.asciz	"filename"
.Linfo_string69:
	.asciz	"data_ptr"
.Linfo_string70:
	.asciz	"length"
.Linfo_string71:
	.asciz	"*const str"
.Linfo_string72:
	.asciz	"NonNull<str>"
.Linfo_string73:
	.asciz	"line"
.Linfo_string74:
	.asciz	"col"
.Linfo_string75:
	.asciz	"_filename"
.Linfo_string76:
	.asciz	"&str"
.Linfo_string77:
	.asciz	"PhantomData<&str>"
.Linfo_string78:
	.asciz	"Location"
.Linfo_string79:
	.asciz	"&core::panic::location::Location"
.Linfo_string80:
	.asciz	"can_unwind"
.Linfo_string81:
	.asciz	"bool"
.Linfo_string82:
	.asciz	"force_no_backtrace"
.Linfo_string83:
	.asciz	"PanicInfo"
.Linfo_string84:
	.asciz	"&core::panic::panic_info::PanicInfo"
.Linfo_string85:
	.asciz	"s"
.Linfo_string86:
	.asciz	"Circle"
.Linfo_string87:
	.asciz	"r"
.Linfo_string88:
	.asciz	"Rect"
.Linfo_string89:
	.asciz	"__1"
.Linfo_string90:
	.asciz	"Unit"
.Linfo_string91:
	.asciz	"Shape"
.Linfo_string92:
	.asciz	"&ask_rust::Shape"
.Linfo_string93:
	.asciz	"&i32"
.Linfo_string94:
	.asciz	"a"
.Linfo_string95:
	.asciz	"b"
.Linfo_string96:
	.asciz	"first"
.Linfo_string97:
	.asciz	"name"
.Linfo_string98:
	.asciz	"shape"
.Linfo_string99:
	.asciz	"next"
.Linfo_string100:
	.asciz	"option"
.Linfo_string101:
	.asciz	"None"
.Linfo_string102:
	.asciz	"&ask_rust::Item"
.Linfo_string103:
	.asciz	"Some"
.Linfo_string104:
	.asciz	"Option<&ask_rust::Item>"
.Linfo_string105:
	.asciz	"small"
.Linfo_string106:
	.asciz	"Option<bool>"
.Linfo_string107:
	.asciz	"Item"
.Linfo_string108:
	.asciz	"items"
.Linfo_string109:
	.asciz	"&[ask_rust::Item]"
.Linfo_string110:
	.asciz	"only"
.Linfo_string111:
	.asciz	"One"
.Linfo_string112:
	.asciz	"Only"
.Linfo_string113:
	.asciz	"i64"
.Linfo_string114:
	.asciz	"Low"
.Linfo_string115:
	.asciz	"High"
.Linfo_string116:
	.asciz	"Far"
.Linfo_string117:
	.asciz	"low"
.Linfo_string118:
	.asciz	"t"
.Linfo_string119:
	.asciz	"n"
.Linfo_string120:
	.asciz	"x"
.Linfo_string121:
	.asciz	"y"
.Linfo_string122:
	.asciz	"far"
	.ident	"rustc version 1.95.0 (59807616e 2026-04-14)"
	.section	".note.GNU-stack","",@progbits
	.section	.debug_line,"",@progbits
.Lline_table_start0:
