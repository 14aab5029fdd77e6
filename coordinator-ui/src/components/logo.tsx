/** Three machines and what lies between them. */
export function Logo({ size = 26 }: { readonly size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="#4c5fd5" />
      <path
        d="M9 10.5h14L16 23z"
        fill="none"
        stroke="#fff"
        strokeWidth="2.2"
        strokeLinejoin="round"
      />
      <g fill="#fff">
        <circle cx="9" cy="10.5" r="3.6" />
        <circle cx="23" cy="10.5" r="3.6" />
        <circle cx="16" cy="23" r="3.6" />
      </g>
    </svg>
  )
}
